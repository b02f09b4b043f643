"""Records as tables read them: an entry per benchmark, image or timing, and what its column is made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.table import Source
from kawhi.records.contradictions import dotted
from kawhi.records.schema import (
    BaselineRecord,
    Benchmark,
    GroundingRecord,
    Record,
    TimingRecord,
    TrainingRecord,
    Verdicts,
)

ROW = ("credit.", "kawhi.", "seeds.", "study.")  # of a training cell's configuration: what its row and seeds say
AGENT_LOOP = "verl.actor_rollout_ref.rollout.agent.default_agent_loop"  # comes with the credit method
SEED_COPIES = {"verl.data.seed": "seeds.data", "verl.actor_rollout_ref.rollout.seed": "seeds.rollout"}


class TableError(Exception):
    """Sound records that cannot stand in one table; the sentence names their files."""


@dataclass(frozen=True)
class Result:
    """What every record says; ``setting`` is what must be equal in a whole column, as dotted keys."""

    file: Path
    command: str | None
    provenance: str
    model: str
    credit: str
    seeds: dict[str, int]
    setting: dict[str, Any]


@dataclass(frozen=True)
class Measurement(Result):
    """One benchmark of one training record."""

    algorithm: str
    task: str
    result: Benchmark
    method: dict[str, Any]  # options of the credit method: what must be equal in all seeds of a row
    kawhi_share: float | None  # time of KAWHI's parts over the time of the steps

    @property
    def column(self) -> tuple:
        """Equal for measurements that may stand in one column; sorts by what a reader looks for."""
        return self.provenance, self.model, self.task, self.setting["steps"], canonical(self.setting)


@dataclass(frozen=True)
class Grounding(Result):
    """What the model does with fixed responses beside one kind of image, against the true image."""

    label: str
    measured: Any  # kawhi.records.schema.Grounding

    @property
    def column(self) -> tuple:
        """As in a measurement."""
        return self.provenance, self.model, self.credit, canonical(self.setting)


@dataclass(frozen=True)
class Timing(Result):
    """What a credit method did to the weights of a few steps, and how long their parts took."""

    algorithm: str
    steps: int
    weight_mean: float
    zero_share: float
    seconds: dict[str, float]  # timing_s/... per step

    @property
    def column(self) -> tuple:
        """As in a measurement; what else differs is the algorithm's and the method's own."""
        return self.provenance, self.model, self.steps


@dataclass(frozen=True)
class Entry:
    """A training or baseline record as a whole.

    Attributes:
        config: as dotted keys.
        scores: by task.
    """

    file: Path
    command: str | None
    study: str
    provenance: str
    config: dict[str, Any]
    scores: dict[str, Benchmark]


def measurements(records: Mapping[Path, Record]) -> list[Measurement]:
    """Every benchmark of every training record."""
    found = []
    for file, record in records.items():
        if isinstance(record, TrainingRecord):
            found += _measurements(record, file)
    return found


def groundings(records: Mapping[Path, Record]) -> list[Grounding]:
    """The records of the grounding study."""
    return _each(records, GroundingRecord, _grounding)


def timings(records: Mapping[Path, Record]) -> list[Timing]:
    """The records of the timing study."""
    return _each(records, TimingRecord, _timing)


def entries(records: Mapping[Path, Record]) -> list[Entry]:
    """The records of trained and of untrained models."""
    return _each(records, TrainingRecord | BaselineRecord, _entry)


def source(label: str, results: list[Any], command: str) -> Source:
    """Where the numbers of some records come from; ``command`` for a record that does not say its own."""
    commands = dict.fromkeys(result.command or command for result in results)
    return Source(label, tuple(commands), tuple(result.file for result in results))


def canonical(setting: Mapping[str, Any]) -> str:
    """Equal for equal settings."""
    return json.dumps(setting, sort_keys=True)


def verdicts_of(results: list[Benchmark]) -> list[Verdicts] | None:
    """Of all seeds over one data set; ``None`` where a record has none, or they are over different items."""
    found = [result.verdicts for result in results if result.verdicts is not None]
    if len(found) < len(results) or len({(each.dataset, len(each.values)) for each in found}) > 1:
        return None
    return found


def _each(records: Mapping[Path, Record], kind: Any, read: Callable[[Any, Path], Any]) -> list[Any]:
    return [read(record, file) for file, record in records.items() if isinstance(record, kind)]


def _measurements(record: TrainingRecord, file: Path) -> list[Measurement]:
    shared = _shared(record, file)
    config = dotted(record.config)
    method = {key: config[key] for key in config if key.startswith("kawhi.") and key != "kawhi.regions.seed"}
    common = {key: config[key] for key in config if not key.startswith((*ROW, "benchmarks")) and key != AGENT_LOOP}
    for copy, seed in SEED_COPIES.items():
        if common.get(copy) == config.get(seed):
            common.pop(copy, None)
    own: dict[str, Any] = {"algorithm": record.algorithm, "method": method, "kawhi_share": record.run.kawhi_share}
    found = []
    for task, result in record.benchmarks.items():
        setting = common | _benchmark(record.config, task) | {"benchmarks.problems": result.n}
        found.append(Measurement(**shared, **own, task=task, result=result, setting=setting))
    return found


def _benchmark(config: dict[str, Any], task: str) -> dict[str, Any]:
    """One benchmark's own options, so that a benchmark beside it does not move it to another column."""
    own = next(entry for entry in config["benchmarks"] if entry["task"] == task)
    return {f"benchmarks.{key}": value for key, value in own.items() if key != "title"}


def _timing(record: TimingRecord, file: Path) -> Timing:
    weight, zero = (
        sum(value for value in curve if value is not None) / record.steps
        for curve in (record.training.weight_mean, record.training.weight_zero_share)
    )
    own: dict[str, Any] = {
        "steps": record.steps,
        "weight_mean": weight,
        "zero_share": zero,
        "seconds": record.run.timing_s,
    }
    return Timing(**_shared(record, file), setting=dotted(record.config), algorithm=record.algorithm, **own)


def _grounding(record: GroundingRecord, file: Path) -> Grounding:
    # Nothing is pooled here, so the credit method and the seeds are part of the setting.
    setting = {key: value for key, value in dotted(record.config).items() if key != "study.image"}
    return Grounding(**_shared(record, file), setting=setting, label=record.credit.label, measured=record.grounding)


def _entry(record: TrainingRecord | BaselineRecord, file: Path) -> Entry:
    said = {"study.name": record.study, "scale.provenance": record.provenance}
    config = said | dotted(record.config)
    return Entry(file, record.command, record.study, record.provenance, config, record.benchmarks)


def _shared(record: TrainingRecord | TimingRecord | GroundingRecord, file: Path) -> dict[str, Any]:
    """The fields of :class:`Result` but the setting."""
    seeds = {key: value for key, value in record.seeds.model_dump().items() if value is not None}
    names = {"provenance": record.provenance, "model": record.model.name, "credit": record.credit.name}
    return {"file": file, "command": record.command, **names, "seeds": seeds}
