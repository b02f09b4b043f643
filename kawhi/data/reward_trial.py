"""A reward function of one's own on the first rows of a data file, before anything is trained by it."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import math
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from kawhi.base.errors import CellError

ROWS = 10
"""Enough to meet what a function was not written for, and nobody waits for it."""


class Trial(NamedTuple):
    """Mean rewards of two responses to each row: the truth in a box, and none at all."""

    rows: int
    truth: float
    empty: float


def try_reward(file: Path, function: str, options: Mapping[str, Any], data: Path) -> Trial:
    """Calls a reward function as verl does.

    Args:
        file: Python.
        function: its name there.
        options: verl's ``reward_kwargs``.
        data: parquet with the columns of :mod:`kawhi.data.schema`.

    Raises:
        CellError: it cannot be imported, fails on a row, or returns no reward; the message names the row.
    """
    score = _function(file, function)
    rewards: list[tuple[float, float]] = []
    for number, row in enumerate(_rows(data)):
        about = row.get("extra_info") or {}
        truth = row["reward_model"]["ground_truth"]
        responses = f"<think>Look at it.</think>\n\\boxed{{{truth}}}", ""
        try:
            first, second = (_called(score, row, truth, response, about, options) for response in responses)
        except (Exception, SystemExit) as error:  # somebody else's code: it may raise anything
            where = f"row {number}" if about.get("id") is None else f"row {number} (id {about['id']})"
            said = " ".join(str(error).split()) or "without a word"
            raise CellError(f"the reward {file}:{function} fails on {where}: {type(error).__name__}: {said}") from error
        rewards.append((first, second))
    truths, empties = zip(*rewards, strict=True)
    return Trial(len(rewards), mean(truths), mean(empties))


def _function(file: Path, function: str) -> Callable[..., Any]:
    found = importlib.util.spec_from_file_location(f"kawhi_tried_{file.stem}", file)
    if not file.is_file() or found is None or found.loader is None:
        raise CellError(f"the reward {file}:{function} does not exist: give a file, as FILE.py:FUNCTION")
    module = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise CellError(f"the reward {file} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(score := getattr(module, function, None)):
        raise CellError(f"the reward {file} has no function {function}")
    return score


def _rows(data: Path) -> list[dict[str, Any]]:
    """The first rows, without their images."""
    file = pq.ParquetFile(data)
    columns = [name for name in file.schema_arrow.names if name != "images"]
    return [row for batch in islice(file.iter_batches(ROWS, columns=columns), 1) for row in batch.to_pylist()]


def _called(
    score: Callable[..., Any], row: dict, truth: Any, response: str, about: dict, options: Mapping[str, Any]
) -> float:
    """The reward of one response.

    Raises:
        TypeError, ValueError: it is no finite number, nor a dictionary with one as its ``score``.
    """
    told = {**about, "num_turns": 2, "rollout_reward_scores": {}}  # as verl adds them
    given = {"data_source": row["data_source"], "solution_str": response, "ground_truth": truth, "extra_info": told}
    result = score(**given, **options)
    if inspect.isawaitable(result):
        result = asyncio.run(_awaited(result))
    if isinstance(result, dict) and "score" not in result:
        raise ValueError(f"it returns {sorted(result)} without a score")
    reward = float(result["score"] if isinstance(result, dict) else result)
    if not math.isfinite(reward):
        raise ValueError(f"it returns {reward}")
    return reward


async def _awaited(result: Any) -> Any:
    return await result
