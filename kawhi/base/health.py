"""Checks that make a training run trustworthy.  A run that breaks one is failed, with the reason."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

from kawhi.base.errors import CellError

CORRELATION = "training/rollout_actor_probs_pearson_corr"
KL = "rollout_corr/kl"
GRADIENT = "actor/grad_norm"
BASE_REWARD = "kawhi/base_reward/mean"
"""The reward before a credit method shaped it."""

# verl logs some failures of its workers and trains on; ` ERROR ` is vLLM's format, `ERROR:` verl's.
_ERROR_LINE = re.compile(r"dtype mismatch|(^|[\s\]])ERROR[: ]", re.MULTILINE)

STOPPED = "Stopped as asked after step"
"""What the trainer prints when it was asked to stop and has saved."""

# verl prints the first one when the last checkpoint is saved.
_TRAINED = re.compile(f"Final validation metrics|{STOPPED}")
# Ray ends vLLM's processes in any order, and a server whose engine goes first says that it died.
_FAREWELL = re.compile(r"\[(async_llm|core_client)\.py:\d+\]")


def training_problems(
    metrics: list[dict[str, Any]], log: str, *, steps: int, limits: dict[str, float], accepted: int = 0
) -> list[str]:
    """Everything wrong with a finished training run, as sentences; empty when it is healthy.

    Args:
        metrics: one row per step, ascending.
        log: text of the training log.
        steps: steps that were asked for.
        limits: ``correlation`` (every step's rollout/actor probability correlation must exceed it) and ``kl`` (every
            step's |rollout_corr/kl| must stay below it).
        accepted: the step up to which somebody has accepted what was found.
    """
    problems = []
    if [row["step"] for row in metrics] != list(range(1, steps + 1)):
        problems.append(f"metrics cover {len(metrics)} steps instead of 1 to {steps}")
    rows = [row for row in metrics if row["step"] > accepted]
    problems += [problem for band in _bands(limits) for problem in _outside(rows, *band)]
    if rows and not any((row.get(GRADIENT) or 0.0) > 0 for row in rows):
        problems.append("the gradient norm is 0 in every step: nothing was learnt")
    return problems + _errors(log)


def sickness(metrics: list[dict[str, Any]], log: str, *, limits: dict[str, float], accepted: int = 0) -> list[str]:
    """Why a training is not worth going on with, as sentences: two steps in a row outside a band, or a logged error.

    One such step may be chance; at the end it fails the training all the same.  Arguments as of
    :func:`training_problems`, of a training that is under way.
    """
    ill = [(row["step"], [*_complaints(row, limits)]) for row in metrics if row["step"] > accepted]
    for (step, first), (following, second) in pairwise(ill):
        if following == step + 1 and first and second:
            told = (f"step {number}: {', '.join(each)}" for number, each in ((step, first), (following, second)))
            return [f"two steps in a row are outside the band, {'; '.join(told)}", *_errors(log)]
    return _errors(log)


def _bands(limits: dict[str, float]) -> Iterator[tuple[str, Callable[[float], bool], str]]:
    """What every step is checked for: a metric, whether a value is fine, and what it must be."""
    yield CORRELATION, lambda value: value > limits["correlation"], f"> {limits['correlation']}"
    yield KL, lambda value: abs(value) < limits["kl"], f"within ±{limits['kl']}"
    yield GRADIENT, math.isfinite, "finite"


def _outside(metrics: list[dict[str, Any]], name: str, fine: Callable[[float], bool], wanted: str) -> Iterator[str]:
    """The first step in which a metric is not as it must be."""
    if any(name not in row for row in metrics):
        yield f"{name} was not logged"
        return
    if bad := [(row["step"], value) for row in metrics if not fine(value := _number(row[name]))]:
        step, value = bad[0]
        yield f"{name} is {value:.4g} at step {step} ({len(bad)} such steps); it must be {wanted}"


def _complaints(row: dict[str, Any], limits: dict[str, float]) -> Iterator[str]:
    """What is outside its band in one step."""
    for name, fine, wanted in _bands(limits):
        if name not in row:
            yield f"{name} was not logged"
        elif not fine(value := _number(row[name])):
            yield f"{name} is {value:.4g} and must be {wanted}"


def _number(value: float | None) -> float:
    return math.nan if value is None else value  # verl's logger writes NaN as null


def _errors(log: str) -> list[str]:
    error = first_error(log)
    return [f"a worker logged an error: {error[:200]}"] if error else []


def first_error(log: str) -> str | None:
    """The first line that a worker logged as an error; vLLM's farewell after the last step is none."""
    trained = _TRAINED.search(log)
    end = trained.start() if trained else -1
    for found in _ERROR_LINE.finditer(log):
        line = log[log.rfind("\n", 0, found.end()) + 1 :].split("\n", 1)[0].strip()
        if not (0 <= end < found.start() and _FAREWELL.search(line)):
            return line
    return None


def weights_changed(before: Path, after: Path) -> bool:
    """Whether any tensor differs between two Hugging Face checkpoints, compared at bf16's precision.

    Raises:
        CellError: they have no tensor in common, so that nothing can be said.
    """
    import torch
    from safetensors import safe_open

    with ExitStack() as opened:
        files = [
            {
                name: tensors
                for file in folder.glob("*.safetensors")
                for tensors in [opened.enter_context(safe_open(file, "pt"))]
                for name in tensors.keys()
            }
            for folder in (before, after)
        ]
        shared = sorted(files[0].keys() & files[1].keys())
        if not shared:
            raise CellError(f"{after} and the untrained model in {before} have no tensor in common")
        pairs = ([each[name].get_tensor(name).bfloat16() for each in files] for name in shared)
        return any(not torch.equal(first, second) for first, second in pairs)
