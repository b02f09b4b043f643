"""Step-GRPO (R1-VL, arXiv 2503.12937): rewards for key steps and for a valid order of steps, added to the base reward.

R1-VL has key steps of every problem written by a larger model.  Geo3K has none, so they are replaced: a key step of a
prompt is a number that at least half of its correct responses state before their answer.  A prompt that no response
solves has no key steps.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from kawhi.credit.methods.base import ResponseBatch, register
from kawhi.credit.segments import paragraphs

_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
ANSWER = "\\boxed{"


@register("step_grpo")
@dataclass(frozen=True)
class StepGrpo:
    """Base reward + ``step_weight`` x share of key steps stated + ``validity_weight`` x 1 for a valid order.

    Every token then weighs the same.  An order is valid when reasoning stands in paragraphs before the answer and the
    answer, once, in the last one.

    Raises:
        ValueError: a negative weight.
    """

    step_weight: float
    validity_weight: float

    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        if self.step_weight < 0 or self.validity_weight < 0:
            raise ValueError(f"weights of rewards cannot be negative: {self.step_weight}, {self.validity_weight}")

    def weights(self, batch: ResponseBatch) -> Tensor:
        return torch.ones(len(batch.token_ids))

    def shaped_rewards(self, batch: ResponseBatch) -> Tensor:
        if batch.correct is None or batch.rewards is None:
            raise ValueError("step_grpo needs the verdicts and rewards of the responses")
        ids = [batch.token_ids[start:end] for start, end in pairwise(batch.offsets.tolist())]
        texts = [batch.tokenizer.decode(part.tolist(), skip_special_tokens=True) for part in ids]
        stated = [numbers_before_answer(text) for text in texts]
        keys = key_steps(stated, list(batch.groups), batch.correct.tolist())
        shares = [share_stated(own, keys[group]) for own, group in zip(stated, batch.groups, strict=True)]
        bonus = [
            self.step_weight * share + self.validity_weight * valid_order(text)
            for share, text in zip(shares, texts, strict=True)
        ]
        return batch.rewards + torch.tensor(bonus, dtype=batch.rewards.dtype)


def numbers_before_answer(text: str) -> frozenset[str]:
    """The numbers that a response states before its last ``\\boxed{}``, as written but for zeros at either end."""
    before, answer, _ = text.rpartition(ANSWER)
    return frozenset(_plain(number) for number in _NUMBER.findall(before if answer else text))


def _plain(number: str) -> str:
    whole, _, fraction = number.partition(".")
    fraction = fraction.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")


def key_steps(
    stated: list[frozenset[str]], groups: list[Hashable], correct: list[bool]
) -> dict[Hashable, frozenset[str]]:
    """Group -> the numbers that at least half of its correct responses state; empty where none is correct."""
    counts: dict[Hashable, Counter[str]] = {group: Counter() for group in groups}
    solved: Counter[Hashable] = Counter()
    for own, group, right in zip(stated, groups, correct, strict=True):
        if right:
            counts[group].update(own)
            solved[group] += 1
    return {
        group: frozenset(number for number, count in its.items() if 2 * count >= solved[group])
        for group, its in counts.items()
    }


def share_stated(stated: frozenset[str], keys: frozenset[str]) -> float:
    """Share of the key steps that a response states; 0 where there are none."""
    return len(stated & keys) / len(keys) if keys else 0.0


def valid_order(text: str) -> bool:
    """Whether reasoning comes first, in paragraphs of its own, and the answer once, in the last paragraph."""
    *reasoning, last = paragraphs(text)
    return bool(reasoning) and text.count(ANSWER) == 1 and ANSWER in last
