"""Records as tables and figures read them: all sound, or none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROVENANCES = ("measured", "tiny")
ROUNDING = 0.0051  # percent; a score may have been written with two decimals
TOP_LEVEL = {
    *("schema", "cell", "provenance", "model", "algorithm", "credit", "data", "seeds", "steps"),
    *("benchmarks", "training", "health", "config", "run"),
}
NAMES = (
    *(("cell", "experiment"), ("cell", "name"), ("cell", "hash")),
    *(("model", "name"), ("model", "family"), ("model", "weights"), ("credit", "name"), ("credit", "label")),
)


class RecordError(Exception):
    """A record that cannot be trusted; the sentence names its file."""


@dataclass(frozen=True)
class Measurement:
    """One benchmark of one record."""

    file: Path
    provenance: str
    model: str
    algorithm: str
    credit: str
    task: str
    title: str
    metric: str
    seeds: dict[str, int]
    n: int
    correct: int
    score: float  # percent
    setting: dict[str, Any]  # what must be equal in a whole column
    kawhi_share: float | None  # time of KAWHI's parts over the time of the steps


def read_records(folder: Path) -> list[Measurement]:
    """Every benchmark of every record in ``folder``; stops at the first record that is not sound."""
    found: list[Measurement] = []
    hashes: dict[str, Path] = {}
    for file in sorted(folder.glob("*.json")):
        record = _load(file)
        identity = record["cell"]["hash"]
        if identity in hashes:
            raise RecordError(f"{hashes[identity]} and {file} are the same cell ({identity}): remove one of them.")
        hashes[identity] = file
        found += _measurements(record, file)
    return found


def _load(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{file} cannot be read: {error}.") from error
    if not isinstance(record, dict) or record.get("schema") != 1:
        raise RecordError(f"{file} is not a record of schema version 1.")
    if missing := TOP_LEVEL - record.keys():
        raise RecordError(f"{file} lacks {', '.join(sorted(missing))}.")
    for keys in NAMES:
        _get(record, file, str, *keys)
    return record


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
    provenance = _get(record, file, str, "provenance")
    if provenance not in PROVENANCES:
        raise RecordError(f"{file} has provenance {provenance!r}; known are {', '.join(PROVENANCES)}.")
    setting = {
        "weights": record["model"]["weights"],
        "data": _get(record, file, str, "data"),
        "steps": _get(record, file, int, "steps"),
    }
    shared = {
        "file": file,
        "provenance": provenance,
        "model": record["model"]["name"],
        "algorithm": _get(record, file, str, "algorithm"),
        "credit": record["credit"]["name"],
        "seeds": {key: _get(record, file, int, "seeds", key) for key in _get(record, file, dict, "seeds")},
        "setting": setting,
        "kawhi_share": record["run"].get("kawhi_share"),
    }
    tasks = _get(record, file, dict, "benchmarks")
    return [Measurement(**shared, task=task, **_checked_score(record, file, task)) for task in tasks]


def _checked_score(record: dict[str, Any], file: Path, task: str) -> dict[str, Any]:
    at = ("benchmarks", task)
    n, correct = _get(record, file, int, *at, "n"), _get(record, file, int, *at, "correct")
    score = _get(record, file, (int, float), *at, "score")
    if not 0 <= score <= 100:  # NaN neither
        raise RecordError(f"{file} has the score {score} for {task}, which is not a percentage.")
    if not (0 <= correct <= n and n > 0 and abs(score - 100 * correct / n) <= ROUNDING):
        raise RecordError(f"{file} has the score {score} for {task}, which is not {correct} of {n}.")
    words = {key: " ".join(_get(record, file, str, *at, key).split()) for key in ("title", "metric")}
    return {"n": n, "correct": correct, "score": score, **words}
