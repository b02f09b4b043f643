"""Records as panels and series: only seeds are pooled, and no panel has two provenances."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from kawhi.records.contradictions import dotted
from kawhi.records.schema import PROVENANCES, Record, TimingRecord, TrainingRecord

Records = Mapping[Path, Record]
"""By file."""
Trained = TrainingRecord | TimingRecord

WORDS = {"measured": "measured", "tiny": "tiny world"}
"""Of each provenance."""
ROW = ("credit.", "kawhi.", "seeds.", "study.")
EVALUATION = ("benchmarks", "evaluation", "judge")
AGENT_LOOP = "verl.actor_rollout_ref.rollout.agent.default_agent_loop"  # comes with the credit method
SEED_COPIES = {"verl.data.seed": "seeds.data", "verl.actor_rollout_ref.rollout.seed": "seeds.rollout"}
NAMED = 3
"""Differing keys that are written out."""
NO_SETTING = ("kawhi.regions.seed", "evaluation.seed")  # said by seeds.regions and seeds.sampling


@dataclass(frozen=True)
class Series:
    """A credit method in one setting, with a record for each seed.

    Attributes:
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
        return f"{algorithm_name(self.algorithm)}, data {self.data}, {self.steps} steps"

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


class Shown(NamedTuple):
    """What a panel's title says, in the order of panels; the provenance as its place among all."""

    provenance: int
    model: str
    algorithm: str
    data: str
    steps: int


def algorithm_name(algorithm: str) -> str:
    return {"dapo_no_kl": "DAPO without KL"}.get(algorithm, algorithm.upper())


def panels(
    records: Records,
    *,
    study: str = "training",
    task: str = "",
    credits: Collection[str] | None = None,
) -> list[Panel]:
    """Panels in the order measured, tiny world; the series of each: the base algorithm, KAWHI, then by name.

    Args:
        study: ``training`` or ``timing``.
        task: only records with this benchmark, and panels only of equal evaluations; "" does not look at those.
        credits: only these methods.
    """
    found: dict[tuple[Shown, str], dict[tuple[str, str], dict[str, Trained]]] = {}
    for file, record in sorted(records.items(), key=lambda pair: pair[0].name):
        if not isinstance(record, TrainingRecord | TimingRecord) or record.study != study:
            continue
        if (credits is not None and record.credit.name not in credits) or (task and task not in _tasks(record)):
            continue
        common, method = _setting(record, task)
        shown = Shown(
            PROVENANCES.index(record.provenance), record.model.name, record.algorithm, record.data, record.steps
        )
        key = shown, common
        own = found.setdefault(key, {}).setdefault((record.credit.name, method), {})
        if _seeds(record, task) not in {_seeds(other, task) for other in own.values()}:  # else evaluated twice
            own[file.name] = record
    made = []
    for (shown, common), methods in sorted(found.items(), key=lambda pair: pair[0]):
        number, differs = _apart(common, [other for same, other in sorted(found) if same == shown])
        panel = Panel(
            PROVENANCES[shown.provenance],
            shown.model,
            shown.algorithm,
            shown.data,
            shown.steps,
            _series(methods),
            number=number,
            task=task,
            differs=differs,
        )
        made.append(panel)
    return made


def split(panel: Panel, varies: str = "", beside: Collection[str] = ("uniform",)) -> list[Panel]:
    """A panel for each setting of KAWHI's methods that differs in more than the key ``varies``.

    The series ``beside`` are in all of them.
    """
    base = [series for series in panel.series if series.credit in beside]
    settings: dict[str, list[Series]] = {}
    for series in panel.series:
        if series.credit not in beside:
            rest = {key: value for key, value in series.method.items() if key != varies}
            settings.setdefault(json.dumps(rest, sort_keys=True), []).append(replace(series, number=0))
    several = len(settings) > 1
    return [
        replace(panel, series=(*base, *own), part=i if several else 0)
        for i, (_, own) in enumerate(sorted(settings.items()), start=1)
    ]


def tasks(records: Records, credits: Collection[str]) -> dict[str, str]:
    """Title by benchmark, of all training records of these methods, in the records' order."""
    found: dict[str, str] = {}
    for _, record in sorted(records.items(), key=lambda pair: pair[0].name):
        if isinstance(record, TrainingRecord) and record.credit.name in credits:
            for task, benchmark in record.benchmarks.items():
                found.setdefault(task, benchmark.title)
    return found


def score(series: Series, task: str) -> Score:
    """The mean over seeds."""
    results = [record.benchmarks[task] for record in series.records.values() if isinstance(record, TrainingRecord)]
    values = [result.score for result in results]
    low, high = (min(values), max(values)) if len(values) > 1 else results[0].interval or (None, None)
    return Score(sum(values) / len(values), low, high, results[0].n, len(values))


def _tasks(record: Trained) -> Collection[str]:
    return record.benchmarks if isinstance(record, TrainingRecord) else ()


def _seeds(record: Trained, task: str) -> tuple[int | None, ...]:
    seeds = record.seeds
    return seeds.data, seeds.rollout, seeds.regions, seeds.sampling if task else None


def _setting(record: Trained, task: str) -> tuple[str, str]:
    """What all series of a panel have in common, and what all seeds of a series have, each as text."""
    config = {key: value for key, value in dotted(record.config).items() if key not in NO_SETTING}
    method = {key: config[key] for key in config if key.startswith("kawhi.")}
    apart = (*ROW, "benchmarks") if task else (*ROW, *EVALUATION)
    common = {key: value for key, value in config.items() if not key.startswith(apart) and key != AGENT_LOOP}
    for copy, seed in SEED_COPIES.items():
        if common.get(copy) == config.get(seed):
            common.pop(copy, None)
    if task and isinstance(record, TrainingRecord):
        asked = record.config.get("benchmarks") or []
        own: dict[str, Any] = next((dict(entry) for entry in asked if entry.get("task") == task), {})
        verdicts = record.benchmarks[task].verdicts
        common["benchmark"] = own | {"n": record.benchmarks[task].n, "set": verdicts.dataset if verdicts else None}
    return json.dumps(common, sort_keys=True), json.dumps(method, sort_keys=True)


def _series(methods: Mapping[tuple[str, str], dict[str, Trained]]) -> tuple[Series, ...]:
    order = {"uniform": 0, "kawhi": 1}
    names = sorted(methods, key=lambda key: (order.get(key[0], 2), key))
    made = []
    for credit, method in names:
        own = methods[credit, method]
        number, differs = _apart(method, [other for name, other in names if name == credit])
        label = next(iter(own.values())).credit.label
        made.append(Series(credit, label, number, own, json.loads(method), differs))
    return tuple(made)


def _apart(own: str, alike: list[str]) -> tuple[int, str]:
    """Number of a setting among several, and its values of the keys in which they differ; (0, "") when it is alone."""
    if len(alike) < 2:
        return 0, ""
    settings = [json.loads(each) for each in alike]
    keys = sorted({key for setting in settings for key in setting})
    keys = [key for key in keys if len({json.dumps(setting.get(key)) for setting in settings}) > 1]
    mine = json.loads(own)
    values = [f"{key} = {json.dumps(mine.get(key))}" for key in keys[:NAMED]]
    more = [f"{len(keys) - NAMED} more"] if len(keys) > NAMED else []
    return alike.index(own) + 1, ", ".join([*values, *more])
