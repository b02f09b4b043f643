"""Rows of many questions, a few prompts at a time: what was measured once is read, what is missing is measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from kawhi.base.errors import CellError
from kawhi.lab.policy import Policy
from kawhi.lab.rollouts import AT_ONCE, Item, Rollouts, given, sample
from kawhi.lab.study import Row, Study, compose
from kawhi.lab.token_rows import TokenProbe
from kawhi.regions.seeds import stable_seed
from kawhi.rewards import boxed as boxed_reward
from kawhi.rewards import chart, math
from kawhi.tiny.worlds import WORLDS

FAMILY = "model"


@dataclass(frozen=True)
class Asked:
    """A question with one image.

    Attributes:
        right: says whether a response is right; ``None`` where nobody knows, and its reward is then not a number.
        response: the one that was given; ``None`` where responses are to be sampled.
    """

    item: Item
    right: Callable[[str], bool] | None
    response: str | None = None


@dataclass(frozen=True)
class Sampling:
    """How responses are sampled: so many to each question, of at most ``limit`` tokens; and the seed of all chance."""

    group: int
    limit: int
    seed: int


STEP = 1
"""Of a training, whose seeds say which patches are black and which background tokens alpha is about."""


def cells(rows: Sequence[Row], study: Study, overrides: Sequence[str]) -> tuple[dict[str, DictConfig], dict[str, Any]]:
    """The cells of methods by their labels, and the settings of signals that no method sets.

    Raises:
        CellError: a method or an option that does not exist.
    """
    own = Study([*rows], {FAMILY: overrides}, [], study.every, study.evaluation, study.algorithm)  # type: ignore[arg-type]
    made = {row.label: compose(own, row, FAMILY) for row in rows}
    kawhi, *others = (compose(own, Row(name, name), FAMILY).kawhi for name in ("kawhi", "tor", "vppo"))
    base: Any = OmegaConf.to_container(kawhi, resolve=True)
    base["signals"] = {}
    for other in others:
        base["signals"] |= OmegaConf.to_container(other.signals, resolve=True)
    return made, base


def measured(
    policy: Policy,
    probe: TokenProbe,
    asked: Sequence[Asked],
    sampling: Sampling,
    folder: Path,
    told: Callable[[int], None],
) -> pd.DataFrame:
    """The rows of all questions, in their order.

    Args:
        folder: where parts are; one that is there is not measured again, so the folder must be of these settings.
        told: is given the number of questions that each part is of.
    """
    parts = []
    for first in range(0, len(asked), AT_ONCE):
        chunk = asked[first : first + AT_ONCE]
        file = folder / f"{first:06d}-{len(chunk)}.parquet"
        if not file.is_file():
            write_frame(file, probe(_rollouts(policy, chunk, sampling), STEP))
        parts.append(pd.read_parquet(file))
        told(len(chunk))
    if not parts:
        raise CellError("there are no questions with one image")
    return pd.concat(parts, ignore_index=True)


def _rollouts(policy: Policy, chunk: Sequence[Asked], sampling: Sampling) -> Rollouts:
    items = [each.item for each in chunk]
    group = 1 if chunk[0].response is not None else sampling.group

    def reward(texts: Sequence[str], answers: Sequence[str], lengths: Tensor) -> tuple[Tensor, Tensor]:
        found = [_judged(chunk[number // group], text) for number, text in enumerate(texts)]
        rewards = torch.tensor(found, dtype=torch.float32)
        return rewards > 0, rewards

    if chunk[0].response is not None:
        return given(policy, items, [each.response or "" for each in chunk], reward)
    return sample(policy, items, group, sampling.limit, stable_seed(sampling.seed, items[0].index), reward)


def _judged(asked: Asked, text: str) -> float:
    return float("nan") if asked.right is None else float(asked.right(text))


def reward_of(source: str) -> Callable[..., dict[str, float]]:
    """The reward function of a row's data, in verl's signature.

    Args:
        source: the row's ``data_source``.
    """
    if source in WORLDS:
        return boxed_reward.compute_score
    return chart.compute_score if source.startswith("chartqa") else math.compute_score


def boxed(answer: str, text: str) -> bool:
    """Whether a response is right in a drawn world."""
    return boxed_reward.is_correct(text, answer)


def write_frame(file: Path, frame: pd.DataFrame) -> None:
    """Atomic, as parquet: a killed writer leaves no file under this name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        frame.to_parquet(temporary, index=False)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
