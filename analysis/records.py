"""Records as tables and figures read them: all sound, or none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROVENANCES = ("measured", "tiny")
ROUNDING = 0.0051  # percent; a score may have been written with two decimals
TOP_LEVEL = {  # study -> what its records have
    "training": {
        *("schema", "cell", "provenance", "model", "algorithm", "credit", "data", "seeds", "steps"),
        *("benchmarks", "training", "health", "config", "run"),
    },
    "timing": {
        *("schema", "cell", "provenance", "model", "algorithm", "credit", "data", "seeds", "steps"),
        *("training", "health", "config", "run"),
    },
    "baseline": {*("schema", "cell", "provenance", "model", "benchmarks", "config", "run")},
    "grounding": {
        *("schema", "cell", "provenance", "model", "credit", "data", "seeds", "grounding", "config", "run"),
    },
}
NAMES = (
    *(("cell", "experiment"), ("cell", "name"), ("cell", "hash"), ("provenance",), ("data",)),
    *(("model", "name"), ("model", "family"), ("model", "weights"), ("credit", "name"), ("credit", "label")),
)
IMAGES = ("true_image", "blank", "wrong_image", "background_only")
BOUNDS = {  # of the grounding study's numbers
    "alpha": (-1, 1),
    "order": (-1, 1),
    "same_top": (0, 1),
    "weight_shift": (0, math.inf),
    "log_prob": (-math.inf, 0),
}
FLOAT_ERROR = 1e-6
ROW = ("credit.", "kawhi.", "seeds.", "study.")  # of a training cell's configuration: what its row and seeds say
AGENT_LOOP = "verl.actor_rollout_ref.rollout.agent.default_agent_loop"  # comes with the credit method
SEED_COPIES = {"verl.data.seed": "seeds.data", "verl.actor_rollout_ref.rollout.seed": "seeds.rollout"}


class RecordError(Exception):
    """A record that cannot be trusted; the sentence names its file."""


@dataclass(frozen=True)
class Result:
    """What every record says; ``setting`` is what must be equal in a whole column, as dotted keys."""

    file: Path
    provenance: str
    model: str
    credit: str
    seeds: dict[str, int]
    setting: dict[str, Any]


@dataclass(frozen=True)
class Measurement(Result):
    """One benchmark of one record."""

    algorithm: str
    task: str
    title: str
    metric: str
    n: int
    correct: int | None  # None where the score is no share of n
    score: float  # percent
    method: dict[str, Any]  # options of the credit method: what must be equal in all seeds of a row
    kawhi_share: float | None  # time of KAWHI's parts over the time of the steps

    @property
    def column(self) -> tuple:
        """Equal for measurements that may stand in one column; sorts by what a reader looks for."""
        return self.provenance, self.model, self.task, self.setting["steps"], _canonical(self.setting)


@dataclass(frozen=True)
class Grounding(Result):
    """What the model does with fixed responses beside one kind of image, against the true image."""

    label: str
    image: str
    responses: int
    paragraphs: int
    alpha: float
    order: float
    same_top: float
    weight_shift: float
    log_prob: float

    @property
    def column(self) -> tuple:
        """As in a measurement."""
        return self.provenance, self.model, self.credit, _canonical(self.setting)


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
        scores: task -> n, correct, score, title and metric.
    """

    file: Path
    config: dict[str, Any]
    scores: dict[str, dict[str, Any]]


def read_entries(folder: Path) -> list[Entry]:
    """The records of trained and of untrained models; stops at the first record of any kind that is not sound."""
    _read(folder)
    found = []
    for file in sorted(folder.glob("*.json")):
        record = _load(file)
        if _study(record) in ("training", "baseline"):
            said = {"study.name": _study(record), "scale.provenance": record["provenance"]}
            config = said | _dotted(_get(record, file, dict, "config"))
            scores = {task: _checked_score(record, file, task) for task in record["benchmarks"]}
            found.append(Entry(file, config, scores))
    return found


def read_records(folder: Path) -> list[Measurement]:
    """Every benchmark of every training record; stops at the first record of any kind that is not sound."""
    return [m for m in _read(folder) if isinstance(m, Measurement)]


def read_grounding(folder: Path) -> list[Grounding]:
    """The records of the grounding study; stops at the first record of any kind that is not sound."""
    return [g for g in _read(folder) if isinstance(g, Grounding)]


def read_timing(folder: Path) -> list[Timing]:
    """The records of the timing study; stops at the first record of any kind that is not sound."""
    return [t for t in _read(folder) if isinstance(t, Timing)]


def _read(folder: Path) -> list[Result]:
    found: list[Result] = []
    hashes: dict[str, Path] = {}
    for file in sorted(folder.glob("*.json")):
        record = _load(file)
        identity = record["cell"]["hash"]
        if identity in hashes:
            raise RecordError(f"{hashes[identity]} and {file} are the same cell ({identity}): remove one of them.")
        hashes[identity] = file
        found += _READERS.get(_study(record), lambda record, file: [])(record, file)
    return found


def _load(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{file} cannot be read: {error}.") from error
    if not isinstance(record, dict) or record.get("schema") != 1:
        raise RecordError(f"{file} is not a record of schema version 1.")
    if _study(record) not in TOP_LEVEL:
        raise RecordError(f"{file} has study {_study(record)!r}; known are {', '.join(TOP_LEVEL)}.")
    if missing := TOP_LEVEL[_study(record)] - record.keys():
        raise RecordError(f"{file} lacks {', '.join(sorted(missing))}.")
    for keys in NAMES:
        if keys[0] in TOP_LEVEL[_study(record)]:
            _get(record, file, str, *keys)
    if record["provenance"] not in PROVENANCES:
        raise RecordError(f"{file} has provenance {record['provenance']!r}; known are {', '.join(PROVENANCES)}.")
    return record


def _study(record: dict[str, Any]) -> str:
    return str(record.get("study", "training"))


def _get(record: dict[str, Any], file: Path, kind: type | tuple[type, ...], *keys: str) -> Any:
    """The value under nested keys, which must be there and of the given type (``True`` is not a number)."""
    value: Any = record
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            raise RecordError(f"{file} lacks {'.'.join(keys)}.")
        value = value[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RecordError(f"{file} has {'.'.join(keys)} = {value!r}, which is of the wrong type.")
    return value


def _measurements(record: dict[str, Any], file: Path) -> list[Measurement]:
    steps = _get(record, file, int, "steps")
    algorithm = _get(record, file, str, "algorithm")
    shared, config = _shared(record, file, {"study.name": "training", "steps": steps, "algorithm.name": algorithm})
    shared |= {
        "algorithm": algorithm,
        "method": {key: config[key] for key in config if key.startswith("kawhi.") and key != "kawhi.regions.seed"},
        "kawhi_share": record["run"].get("kawhi_share"),
    }
    common = {key: config[key] for key in config if not key.startswith((*ROW, "benchmarks")) and key != AGENT_LOOP}
    for copy, seed in SEED_COPIES.items():
        if common.get(copy) == config.get(seed):
            common.pop(copy, None)
    found = []
    for task in _get(record, file, dict, "benchmarks"):
        score = _checked_score(record, file, task)
        setting = common | _benchmark(record["config"], file, task) | {"benchmarks.problems": score["n"]}
        found.append(Measurement(**shared, task=task, setting=setting, **score))
    return found


def _benchmark(config: dict[str, Any], file: Path, task: str) -> dict[str, Any]:
    """One benchmark's own options, so that a benchmark beside it does not move it to another column."""
    benchmarks = config.get("benchmarks", [])
    if not isinstance(benchmarks, list) or not all(isinstance(entry, dict) for entry in benchmarks):
        raise RecordError(f"{file} has config.benchmarks = {benchmarks!r}, which is of the wrong type.")
    own = next((entry for entry in benchmarks if entry.get("task") == task), {})
    return {f"benchmarks.{key}": own[key] for key in own if key != "title"} | {"benchmarks.task": task}


def _timing(record: dict[str, Any], file: Path) -> Timing:
    algorithm, steps = _get(record, file, str, "algorithm"), _get(record, file, int, "steps")
    shared, config = _shared(record, file, {"study.name": "timing", "steps": steps, "algorithm.name": algorithm})
    means = {key: _get(record, file, list, "training", key) for key in ("weight_mean", "weight_zero_share")}
    if any(len(values) != steps or None in values for values in means.values()):
        raise RecordError(f"{file} does not have the weights of {steps} steps.")
    seconds = {key: _get(record, file, float, "run", "timing_s", key) for key in record["run"]["timing_s"]}
    if "timing_s/step" not in seconds:
        raise RecordError(f"{file} lacks run.timing_s.timing_s/step.")
    weight, zero = (sum(values) / steps for values in means.values())
    own = {"steps": steps, "weight_mean": weight, "zero_share": zero, "seconds": seconds}
    return Timing(**shared, setting=config, algorithm=algorithm, **own)


def _grounding(record: dict[str, Any], file: Path) -> Grounding:
    image = _get(record, file, str, "grounding", "image")
    if image not in IMAGES:
        raise RecordError(f"{file} has the image {image!r}; known are {', '.join(IMAGES)}.")
    responses, paragraphs = (_get(record, file, int, "grounding", key) for key in ("responses", "paragraphs"))
    if not 0 < responses <= paragraphs:
        raise RecordError(f"{file} has {responses} responses with {paragraphs} paragraphs.")
    values = {key: _get(record, file, (int, float), "grounding", key) for key in BOUNDS}
    for key, (low, high) in BOUNDS.items():
        if not (math.isfinite(values[key]) and low - FLOAT_ERROR <= values[key] <= high + FLOAT_ERROR):
            raise RecordError(f"{file} has grounding.{key} = {values[key]}, which is outside [{low}, {high}].")
    if image == IMAGES[0] and (values["weight_shift"] > FLOAT_ERROR or values["same_top"] < 1 - FLOAT_ERROR):
        raise RecordError(f"{file} has a true image that differs from itself in grounding.weight_shift or same_top.")
    shared, config = _shared(record, file, {"study.name": "grounding", "study.image": image})
    # Nothing is pooled here, so the credit method and the seeds are part of the setting.
    setting = {key: value for key, value in config.items() if key != "study.image"}
    counts = {"responses": responses, "paragraphs": paragraphs}
    return Grounding(**shared, setting=setting, label=record["credit"]["label"], image=image, **counts, **values)


def _shared(record: dict[str, Any], file: Path, said: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of :class:`Result` but the setting, and the configuration as dotted keys, which must agree with them.

    Raises:
        RecordError: the record says one thing and its configuration another.
    """
    seeds = {key: _get(record, file, int, "seeds", key) for key in _get(record, file, dict, "seeds")}
    said |= {
        "scale.provenance": record["provenance"],
        **{f"model.{key}": record["model"][key] for key in ("name", "family", "weights")},
        "credit.name": record["credit"]["name"],
        "data.name": record["data"],
        **{f"seeds.{key}": value for key, value in seeds.items()},
    }
    config = _dotted(_get(record, file, dict, "config"))
    for key, value in said.items():
        if config.get(key, value) != value:
            raise RecordError(f"{file} says {key} = {value!r} but its config says {config[key]!r}.")
    names = {"provenance": record["provenance"], "model": record["model"]["name"], "credit": record["credit"]["name"]}
    return {"file": file, **names, "seeds": seeds}, config | said


def _dotted(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with keys such as ``a.b``; an empty mapping is a value."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return leaves


def _canonical(setting: dict[str, Any]) -> str:
    return json.dumps(setting, sort_keys=True)


def _checked_score(record: dict[str, Any], file: Path, task: str) -> dict[str, Any]:
    at = ("benchmarks", task)
    n, score = _get(record, file, int, *at, "n"), _get(record, file, (int, float), *at, "score")
    words = {key: " ".join(_get(record, file, str, *at, key).split()) for key in ("title", "metric")}
    if words["metric"] != "accuracy":  # points, or samples that are partly right: not a share of n
        if not (n > 0 and 0 <= score < math.inf):
            raise RecordError(f"{file} has the score {score} for {task} of {n} samples, which is not a score.")
        return {"n": n, "correct": None, "score": score, **words}
    correct = _get(record, file, int, *at, "correct")
    if not 0 <= score <= 100:  # NaN neither
        raise RecordError(f"{file} has the score {score} for {task}, which is not a percentage.")
    if not (0 <= correct <= n and n > 0 and abs(score - 100 * correct / n) <= ROUNDING):
        raise RecordError(f"{file} has the score {score} for {task}, which is not {correct} of {n}.")
    return {"n": n, "correct": correct, "score": score, **words}


_READERS: dict[str, Callable[[dict[str, Any], Path], list[Any]]] = {
    "training": _measurements,
    "timing": lambda record, file: [_timing(record, file)],
    "grounding": lambda record, file: [_grounding(record, file)],
}
