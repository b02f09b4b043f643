"""Groups of responses to the prompts of one step, and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from kawhi.credit.methods import ResponseBatch
from kawhi.lab.policy import Policy, Prompts
from kawhi.tiny.world import Problem

AT_ONCE = 4
"""Prompts whose responses one pass computes: padded to the longest among them, and small enough for the cache."""


@dataclass(frozen=True)
class Item:
    """One question about one image.

    Attributes:
        index: its number in the data, which seeds are made of.
        readings: the numbers that must be read off the image, in their order; ``None`` where nobody knows.
    """

    index: int
    image: Image.Image
    question: str
    answer: str
    readings: tuple[int, ...] | None


def item_of(index: int, problem: Problem, image_size: int) -> Item:
    """A drawn problem."""
    readings = getattr(problem, "readings", None)
    return Item(index, problem.drawing.render(image_size), problem.question, problem.answer, readings)


class Reward(Protocol):
    """The verdict on each response, and what it earns."""

    def __call__(self, texts: Sequence[str], answers: Sequence[str], lengths: Tensor) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class Rollouts:
    """Responses to ``P`` prompts, ``G`` each, in the order of the prompts.

    Attributes:
        tokens, mask: ``(P * G, T)``; the end token belongs to a response.
        correct: ``(P * G,)`` bool.
        rewards: ``(P * G,)`` float.
        judged: the signals of :mod:`kawhi.credit.readings`, ``(S,)`` each, where somebody has judged the responses;
            else they follow from the items' readings.
    """

    items: Sequence[Item]
    prompts: Prompts
    tokens: Tensor
    mask: Tensor
    texts: Sequence[str]
    correct: Tensor
    rewards: Tensor
    judged: Mapping[str, Tensor] | None = None

    @property
    def group(self) -> int:
        return len(self.tokens) // len(self.items)

    @property
    def groups(self) -> list[int]:
        """The prompt of each response."""
        return [prompt for prompt in range(len(self.items)) for _ in range(self.group)]

    @cached_property
    def lengths(self) -> Tensor:
        return self.mask.sum(dim=1)

    @cached_property
    def offsets(self) -> Tensor:
        """``(P * G + 1,)`` where each response starts when all are concatenated."""
        return torch.cat([self.lengths.new_zeros(1), self.lengths.cumsum(0)])

    @cached_property
    def token_ids(self) -> Tensor:
        """``(S,)`` of all responses, concatenated."""
        return self.tokens[self.mask]

    def mixed(self) -> list[int]:
        """The prompts that have both right and wrong responses."""
        right = self.correct.view(-1, self.group).float().mean(dim=1)
        return torch.nonzero((right > 0) & (right < 1))[:, 0].tolist()

    def take(self, prompts: Sequence[int]) -> Rollouts:
        """Some of the prompts with their responses, in this order."""
        rows = self.rows(prompts)
        return replace(
            self,
            items=[self.items[i] for i in prompts],
            prompts=self.prompts.take(prompts),
            tokens=self.tokens[rows],
            mask=self.mask[rows],
            texts=[self.texts[row] for row in rows.tolist()],
            correct=self.correct[rows],
            rewards=self.rewards[rows],
        )

    def rows(self, prompts: Sequence[int]) -> Tensor:
        """The responses of these prompts."""
        own = torch.arange(self.group)
        return torch.cat([own + prompt * self.group for prompt in prompts])

    def chunks(self, prompts: Sequence[int]) -> list[list[int]]:
        """The prompts in parts for one pass each, those with long responses together."""
        longest = self.lengths.view(-1, self.group).amax(dim=1).tolist()
        ordered = sorted(prompts, key=lambda prompt: (longest[prompt], prompt))
        return [ordered[i : i + AT_ONCE] for i in range(0, len(ordered), AT_ONCE)]

    def places(self, prompts: Sequence[int]) -> Tensor:
        """Where the tokens of these prompts' responses are among all, concatenated."""
        rows = self.rows(prompts).tolist()
        return torch.cat([torch.arange(int(self.offsets[row]), int(self.offsets[row + 1])) for row in rows])

    def batch(self, tokenizer: Any, signals: dict[str, Tensor], rewards: Tensor) -> ResponseBatch:
        """What a credit method sees."""
        return ResponseBatch(
            self.token_ids.cpu(),
            self.offsets.cpu(),
            {name: values.float().cpu() for name, values in signals.items()},
            tokenizer,
            groups=self.groups,
            correct=self.correct,
            rewards=rewards,
        )


def sample(policy: Policy, items: Sequence[Item], group: int, limit: int, seed: int, reward: Reward) -> Rollouts:
    """Samples ``group`` responses of at most ``limit`` tokens to each item; equal seeds draw equal noise."""
    prompts = _prompts(policy, items)
    generator = torch.Generator().manual_seed(seed)
    tokens, mask = policy.sample(prompts, group, torch.rand(limit, len(items) * group, generator=generator))
    texts = [
        policy.tokenizer.decode(row[seen].tolist(), skip_special_tokens=True)
        for row, seen in zip(tokens, mask, strict=True)
    ]
    answers = [item.answer for item in items for _ in range(group)]
    correct, rewards = reward(texts, answers, mask.sum(dim=1).cpu())
    return Rollouts(items, prompts, tokens, mask, texts, correct, rewards)


def given(policy: Policy, items: Sequence[Item], texts: Sequence[str], reward: Reward) -> Rollouts:
    """Responses that were given as text, equally many to each item; the end token belongs to each."""
    encoded = [[*policy.tokenizer(text)["input_ids"], int(policy.ends[0])] for text in texts]
    width = max(map(len, encoded))
    tokens = torch.tensor([row + [row[-1]] * (width - len(row)) for row in encoded], device=policy.device)
    mask = torch.tensor([[column < len(row) for column in range(width)] for row in encoded], device=policy.device)
    answers = [item.answer for item in items for _ in range(len(texts) // len(items))]
    correct, rewards = reward(texts, answers, mask.sum(dim=1).cpu())
    return Rollouts(items, _prompts(policy, items), tokens, mask, texts, correct, rewards)


def _prompts(policy: Policy, items: Sequence[Item]) -> Prompts:
    return policy.prompts([item.image for item in items], [item.question for item in items])


def joined(parts: Sequence[Rollouts], policy: Policy) -> Rollouts:
    """Several sets of rollouts as one; prompts are padded anew."""
    items = [item for part in parts for item in part.items]
    width = max(part.tokens.shape[1] for part in parts)

    def padded(name: str) -> Tensor:
        rows = [getattr(part, name) for part in parts]
        return torch.cat([torch.nn.functional.pad(row, (0, width - row.shape[1])) for row in rows])

    return Rollouts(
        items,
        _prompts(policy, items),
        padded("tokens"),
        padded("mask"),
        [text for part in parts for text in part.texts],
        torch.cat([part.correct for part in parts]),
        torch.cat([part.rewards for part in parts]),
    )


def part_of(rollouts: Rollouts, chunk: Sequence[int]) -> tuple[Prompts, Tensor, Tensor]:
    """Prompts, tokens and mask of a chunk, as wide as its longest response."""
    rows = rollouts.rows(chunk)
    width = int(rollouts.lengths[rows].max())
    return rollouts.prompts.take(chunk), rollouts.tokens[rows, :width], rollouts.mask[rows, :width]
