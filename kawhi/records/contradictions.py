"""Where a sound-looking record says two things at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kawhi.records.hashing import config_hash
from kawhi.records.schema import MAXIMUM, EvaluationRecord, Record


def contradictions(record: Record) -> list[str]:
    """Sentences without a full stop; empty when the record agrees with itself."""
    kinds = (_identity, _incomplete, _said_twice, _scores, _curves, _study)
    return [sentence for kind in kinds for sentence in kind(record)]


def dotted(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with keys such as ``a.b``; an empty mapping is a value."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= dotted(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return leaves


def _identity(record: Record) -> Iterator[str]:
    if (found := config_hash(record.config)) != record.cell.hash:
        yield f"cell.hash is {record.cell.hash} but its config has the hash {found}: one of them was changed"


def _incomplete(record: Record) -> Iterator[str]:
    if not isinstance(record, EvaluationRecord):
        return
    needed = {"of.study", "of.hash", "model.name", "scale.name", "benchmark.task", "evaluation.seed"}
    needed |= {"judge.prompts"} if "judge" in record.config else set()
    if lacks := sorted(needed - dotted(record.config).keys()):
        yield f"its config lacks {', '.join(lacks)}"


def _said_twice(record: Record) -> Iterator[str]:
    content: Any = record
    said = {"scale.provenance": record.provenance, "study.name": content.study}
    said |= {f"model.{key}": getattr(record.model, key) for key in ("name", "family", "weights")}
    for key, name in {"algorithm": "algorithm.name", "data": "data.name", "steps": "steps"}.items():
        if hasattr(content, key):
            said[name] = getattr(content, key)
    if hasattr(content, "credit"):
        said["credit.name"] = content.credit.name
        said |= {f"seeds.{key}": getattr(content.seeds, key) for key in ("data", "rollout", "regions")}
    if content.study == "grounding":
        said["study.image"] = content.grounding.image
    if content.study == "evaluation":
        said |= {"benchmark.task": content.task, "evaluation.seed": content.sampling}
    config = dotted(record.config)
    for key, value in said.items():
        if config.get(key, value) != value:
            yield f"it says {key} = {value!r} but its config says {config[key]!r}"


def _scores(record: Record) -> Iterator[str]:
    if getattr(record, "benchmarks", None):
        yield f"a {record.study} has no scores of its own: its evaluations have records"  # type: ignore[attr-defined]
    if not isinstance(record, EvaluationRecord):
        return
    result, most = record.result, MAXIMUM.get(record.task, 100.0)
    if result.score > most:
        yield f"the score of {record.task} is {result.score}, and {most:g} is the most that can be"
    if result.generation.get("n", result.n) != result.n:
        yield f"{record.task} scores {result.n} of {result.generation['n']} responses"


def _curves(record: Record) -> Iterator[str]:
    training, steps = getattr(record, "training", None), getattr(record, "steps", 0)
    if training is None:
        return
    for name in ("reward", "response_length", "weight_mean", "weight_zero_share", "entropy", "grad_norm"):
        if (curve := getattr(training, name)) and len(curve) != steps:
            yield f"training.{name} has {len(curve)} numbers for {steps} steps"
    if record.health.weights_changed is False:  # type: ignore[attr-defined]
        yield "health.weights_changed is false: nothing was trained"


def _study(record: Record) -> Iterator[str]:
    if getattr(record, "study", "") != "timing":
        return
    training = record.training  # type: ignore[attr-defined]
    if any(not curve or None in curve for curve in (training.weight_mean, training.weight_zero_share)):
        yield f"it does not have the weights of {record.steps} steps"  # type: ignore[attr-defined]
    if "timing_s/step" not in record.run.timing_s:
        yield "it lacks run.timing_s.timing_s/step"
