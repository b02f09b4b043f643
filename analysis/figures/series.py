"""Records as panels and series: what differs in more than its seeds is never pooled, and no panel has two provenances."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
NO_SETTING = ("kawhi.regions.seed", "evaluation.seed")  # said by seeds.regions and seeds.sampling


@dataclass(frozen=True)
class Series:
    """A credit method in one setting, with a record for each seed.

    Attributes:
        number: 0, or counted from 1 where its panel has several settings of the method.
        records: by file name.
        method: the method's configuration, as dotted keys.
    """

    credit: str
    label: str
    number: int
    records: Mapping[str, Trained]
    method: Mapping[str, Any]

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
    """

    provenance: str
    model: str
    algorithm: str
    steps: int
    series: tuple[Series, ...]
    number: int = 0
    task: str = ""
    part: int = 0

    @property
    def title(self) -> str:
        setting = (f", setting {self.number}" if self.number else "") + (f", method {self.part}" if self.part else "")
        return f"{WORDS[self.provenance]}: {self.model}, {algorithm_name(self.algorithm)}, {self.steps} steps{setting}"

    def of(self, credit: str) -> Series | None:
        """The first series of a credit method."""
        return next((series for series in self.series if series.credit == credit), None)


@dataclass(frozen=True)
class Score:
    """In percent; from ``low`` to ``high`` is 95 % of other items, or with several seeds from the lowest to the highest.

    Both are ``None`` where a record has one seed and no interval.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    seeds: int


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
    found: dict[tuple[Any, ...], dict[tuple[str, str], dict[str, Trained]]] = {}
    for file, record in sorted(records.items(), key=lambda pair: pair[0].name):
        if not isinstance(record, TrainingRecord | TimingRecord) or record.study != study:
            continue
        if (credits is not None and record.credit.name not in credits) or (task and task not in _tasks(record)):
            continue
        common, method = _setting(record, task)
        key = PROVENANCES.index(record.provenance), record.model.name, record.algorithm, record.steps, common
        own = found.setdefault(key, {}).setdefault((record.credit.name, method), {})
        if _seeds(record, task) not in {_seeds(other, task) for other in own.values()}:  # else evaluated twice
            own[file.name] = record
    made = []
    for key, methods in sorted(found.items()):
        alike = [other for other in sorted(found) if other[:4] == key[:4]]
        number = alike.index(key) + 1 if len(alike) > 1 else 0
        made.append(Panel(PROVENANCES[key[0]], *key[1:4], _series(methods), number, task))
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
        alike = [key for key in names if key[0] == credit]
        own = methods[credit, method]
        number = alike.index((credit, method)) + 1 if len(alike) > 1 else 0
        made.append(Series(credit, next(iter(own.values())).credit.label, number, own, json.loads(method)))
    return tuple(made)
