"""Records as panels and series: only seeds are pooled, and no panel has two provenances."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.experiment import known_as
from analysis.methods import ALGORITHMS
from analysis.records import canonical, judge_of, method_of, shared_setting
from analysis.table import differing
from kawhi.records.contradictions import dotted
from kawhi.records.schema import PROVENANCES, Record, TimingRecord, TrainingRecord

Records = Mapping[Path, Record]
"""By file."""
Trained = TrainingRecord | TimingRecord

WORDS = {"measured": "measured", "tiny": "tiny world"}
"""Of each provenance."""
STUDIES = {"training": TrainingRecord, "timing": TimingRecord}
EVALUATION = ("benchmarks", "evaluation", "judge")
TITLE = ("provenance", "model", "algorithm", "data", "steps")
"""What a panel's title says, in the order of panels."""
ORDER = {"uniform": 0, "kawhi": 1}
NAMED = 3
"""Differing keys that are written out."""


@dataclass(frozen=True)
class Series:
    """A credit method in one setting, with a record for each seed.

    Attributes:
        credit: what tables know the method by.
        number: 0, or counted from 1 where its panel has several settings of the method.
        records: by file name.
        method: the method's configuration, as dotted keys.
        differs: in what the settings of the method differ, and what this one has.
    """

    credit: str
    label: str
    number: int
    records: Mapping[str, Trained]
    method: Mapping[str, Any]
    differs: str = ""

    @property
    def name(self) -> str:
        return f"{self.label} (setting {self.number})" if self.number else self.label

    @property
    def seeds(self) -> str:
        return f"{len(self.records)} seed{'s' * (len(self.records) > 1)}"


@dataclass(frozen=True)
class Panel:
    """Series that differ in the credit method alone.

    Attributes:
        number: 0, or counted from 1 where panels would have the same title.
        task: the benchmark, if there is one.
        part: as ``number``, of the settings of the credit method in a panel that :func:`split` made.
        differs: as in a series.
    """

    provenance: str
    model: str
    algorithm: str
    data: str
    steps: int
    series: tuple[Series, ...]
    number: int = 0
    task: str = ""
    part: int = 0
    differs: str = ""

    @property
    def head(self) -> str:
        return f"{WORDS[self.provenance]}: {self.model}"

    @property
    def run(self) -> str:
        return f"{ALGORITHMS.get(self.algorithm, self.algorithm.upper())}, data {self.data}, {self.steps} steps"

    @property
    def setting(self) -> str:
        """ "" where there is only one."""
        found = [f"setting {self.number}"] * bool(self.number) + [f"method {self.part}"] * bool(self.part)
        return ", ".join(found)

    @property
    def title(self) -> str:
        return ", ".join(part for part in (self.head, self.run, self.setting) if part)

    def of(self, credit: str) -> Series | None:
        """The first series of a credit method."""
        return next((series for series in self.series if series.credit == credit), None)


@dataclass(frozen=True)
class Score:
    """In percent; ``low`` and ``high`` are 95 % by items, or with several seeds the lowest and the highest.

    Both are ``None`` where a record has one seed and no interval.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    seeds: int


def panels(
    records: Records,
    *,
    study: str = "training",
    task: str = "",
    asked: Callable[[Trained], bool] = lambda record: True,
) -> list[Panel]:
    """Panels in the order measured, tiny world; the series of each: the base algorithm, KAWHI, then by name.

    Args:
        study: ``training`` or ``timing``.
        task: only records with this benchmark, and panels only of equal evaluations; "" does not look at those.
        asked: of these records alone.
    """
    own_study = of_study(records, STUDIES[study]).items()
    rows = [row for name, record in own_study if asked(record) and (row := _row(name, record, task))]
    if not rows:
        return []
    once = pd.DataFrame(rows, dtype=object).drop_duplicates([*TITLE, "common", "credit", "method", "seeds"])
    found = []
    for said, alike in once.groupby([*TITLE]):
        settings = alike.groupby("common")
        for common, own in settings:
            number, differs = _apart(common, [*settings.groups])
            title = dict(zip(TITLE, said, strict=True))
            found.append(Panel(**title, series=_series(own), number=number, task=task, differs=differs))
    return sorted(found, key=lambda panel: PROVENANCES.index(panel.provenance))


def parts(
    records: Records,
    tasks: Iterable[str],
    asked: Callable[[Trained], bool],
    shown: Callable[[Panel], bool],
    varies: str = "",
    beside: Collection[str] = (),
) -> list[Panel]:
    """GRPO's panels of each benchmark, as :func:`split` makes them; measured before tiny."""
    found = [panel for task in tasks for panel in panels(records, task=task, asked=asked)]
    own = [part for panel in found if panel.algorithm == "grpo" for part in split(panel, shown, varies, beside)]
    return sorted(own, key=lambda panel: PROVENANCES.index(panel.provenance))


def of_study(records: Records, kind: type[Any]) -> dict[str, Any]:
    """The records of a study by the names of their files, measured before tiny."""
    own = [(file.name, record) for file, record in records.items() if isinstance(record, kind)]
    return dict(sorted(own, key=lambda pair: (PROVENANCES.index(pair[1].provenance), pair[0])))


def split(panel: Panel, shown: Callable[[Panel], bool], varies: str, beside: Collection[str]) -> list[Panel]:
    """A panel for each setting of KAWHI's methods that differs in more than the key ``varies``, of those to be shown.

    The series ``beside`` are in all of them.
    """
    base = [series for series in panel.series if series.credit in beside]
    settings: dict[str, list[Series]] = {}
    for series in panel.series:
        if series.credit not in beside:
            rest = {key: value for key, value in series.method.items() if key != varies}
            settings.setdefault(canonical(rest), []).append(replace(series, number=0))
    found = [*filter(shown, (replace(panel, series=(*base, *own)) for _, own in sorted(settings.items())))]
    return found if len(found) < 2 else [replace(part, part=i) for i, part in enumerate(found, start=1)]


def known(record: Trained) -> str:
    """What tables know a record's credit method by."""
    return known_as(dotted(record.config))


def credited(*names: str) -> Callable[[Trained], bool]:
    """Whether a record is of one of these credit methods, whatever its options."""
    return lambda record: record.credit.name in names


def tasks(records: Records, asked: Callable[[Trained], bool]) -> dict[str, str]:
    """Title by benchmark, of the training records that are asked for, in the records' order."""
    found: dict[str, str] = {}
    for _, record in sorted(of_study(records, TrainingRecord).items()):
        if asked(record):
            for task, benchmark in record.benchmarks.items():
                found.setdefault(task, benchmark.title)
    return found


def score(series: Series, task: str) -> Score:
    """The mean over seeds."""
    results = [record.benchmarks[task] for record in series.records.values() if isinstance(record, TrainingRecord)]
    values = [result.score for result in results]
    low, high = (min(values), max(values)) if len(values) > 1 else results[0].interval or (None, None)
    return Score(sum(values) / len(values), low, high, results[0].n, len(values))


def _row(file: str, record: Trained, task: str) -> dict[str, Any]:
    """A record with what all series of its panel and all seeds of its series have in common, each as text.

    Nothing where it lacks the benchmark.
    """
    if task and task not in getattr(record, "benchmarks", ()):
        return {}
    config, seeds = dotted(record.config), record.seeds
    common = shared_setting(config, ("benchmarks", "judge.") if task else EVALUATION)
    common.pop("evaluation.seed", None)  # said by seeds.sampling
    if task:
        common |= {"benchmark": _benchmark(record, task), **judge_of(config, task)}
    return {
        "file": file,
        "record": record,
        "provenance": record.provenance,
        "model": record.model.name,
        "algorithm": record.algorithm,
        "data": record.data,
        "steps": record.steps,
        "credit": (credit := known_as(config)),
        "order": ORDER.get(credit, len(ORDER)),
        "seeds": (seeds.data, seeds.rollout, seeds.regions, seeds.sampling if task else None),
        "common": canonical(common),
        "method": canonical(method_of(config)),
    }


def _benchmark(record: Any, task: str) -> dict[str, Any]:
    """What is equal in a panel of one benchmark."""
    own: dict[str, Any] = next((each for each in record.config.get("benchmarks") or [] if each.get("task") == task), {})
    result = record.benchmarks[task]
    return own | {"n": result.n, "set": result.verdicts.dataset if result.verdicts else None}


def _series(rows: pd.DataFrame) -> tuple[Series, ...]:
    made = []
    for (_, credit, method), own in rows.groupby(["order", "credit", "method"]):
        number, differs = _apart(method, sorted({*rows[rows.credit == credit].method}))
        records = dict(zip(own.file, own.record, strict=True))
        first = own.record.iloc[0].credit
        label = first.label if credit == first.name else credit
        made.append(Series(credit, label, number, records, json.loads(method), differs))
    return tuple(made)


def _apart(own: str, alike: list[str]) -> tuple[int, str]:
    """Number of a setting among several, and its values of the keys in which they differ; (0, "") when it is alone."""
    if len(alike) < 2:
        return 0, ""
    settings = [json.loads(each) for each in alike]
    keys = differing(settings)
    mine = json.loads(own)
    values = [f"{key} = {json.dumps(mine.get(key))}" for key in keys[:NAMED]]
    more = [f"{len(keys) - NAMED} more"] if len(keys) > NAMED else []
    return alike.index(own) + 1, ", ".join([*values, *more])
