"""How well a policy reads: exactly, by the probability of what it ought to read, and sampled, by its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from kawhi.credit.readings import READS, read_rightly, truth, truth_signals
from kawhi.credit.segments import token_bytes
from kawhi.lab.policy import Policy, Prompts, token_log_probs
from kawhi.lab.rollouts import Item, sample
from kawhi.rewards.boxed import is_correct
from kawhi.tiny.reading_world import Difficulty, problems

AT_ONCE = 50
"""Problems of one pass."""


@dataclass(frozen=True)
class Evaluation:
    """What a policy is measured on.

    Attributes:
        problems: of the held-out split.
        seed: of these problems and of the sampling; never that of a training.
        responses: sampled for each problem.
        limit: tokens of a response.
    """

    problems: int
    seed: int
    responses: int
    limit: int


class Evaluator:
    """Measures one policy again and again, on the same problems and with the same noise."""

    def __init__(self, policy: Policy, evaluation: Evaluation, difficulty: Difficulty, image_size: int):
        self._policy, self._evaluation = policy, evaluation
        drawn = list(islice(problems("heldout", evaluation.seed, difficulty), evaluation.problems))
        self._items = [
            Item(index, problem.drawing.render(image_size), problem.question, problem.answer, problem.readings)
            for index, problem in enumerate(drawn)
        ]
        self._demonstrations = [problem.worked for problem in drawn]

    def __call__(self, step: int) -> dict[str, Any]:
        """Means over the problems: P(reading right), exactly, and what sampled answers got right."""
        probabilities = self.reading_probabilities()
        found = {"step": step, "read": float(probabilities.mean()), "read_each": probabilities.tolist()}
        return found | self._sampled()

    @torch.no_grad()
    def reading_probabilities(self) -> torch.Tensor:
        """``(problems,)`` the probability of all digits of the reading, beside the demonstration up to each of them."""
        found = []
        for first in range(0, len(self._items), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            items, texts = self._items[part], self._demonstrations[part]
            prompts = self._policy.prompts([item.image for item in items], [item.question for item in items])
            found.append(reading_probabilities(self._policy, prompts, texts, [item.readings or () for item in items]))
        return torch.cat(found)

    def _sampled(self) -> dict[str, float]:
        own = self._evaluation
        rollouts = [
            sample(self._policy, self._items[i : i + AT_ONCE], own.responses, own.limit, own.seed + i, exact)
            for i in range(0, len(self._items) if own.responses else 0, AT_ONCE)
        ]
        if not rollouts:
            return {}
        right = torch.cat([each.correct for each in rollouts]).float()
        read = [
            read_rightly(truth(each.items[row // each.group].readings or (), text))
            for each in rollouts
            for row, text in enumerate(each.texts)
        ]
        return {"right": float(right.mean()), "sampled_read": sum(read) / len(read)}


def reading_probabilities(
    policy: Policy, prompts: Prompts, texts: Sequence[str], readings: Sequence[Sequence[int]]
) -> torch.Tensor:
    """``(P,)`` probability of the digits in the paragraphs that read, given the image and all that stands before.

    Args:
        texts: an answer to each prompt that reads rightly.

    Raises:
        ValueError: one does not read rightly.
    """
    if wrong := [text for text, known in zip(texts, readings, strict=True) if not read_rightly(truth(known, text))]:
        raise ValueError(f"this answer does not read rightly: {wrong[0]!r}")
    encoded = [[*policy.tokenizer(text)["input_ids"], int(policy.ends[0])] for text in texts]
    width = max(map(len, encoded))
    tokens = torch.tensor([row + [row[-1]] * (width - len(row)) for row in encoded], device=policy.device)
    mask = torch.tensor([[column < len(row) for column in range(width)] for row in encoded], device=policy.device)
    log_probs = token_log_probs(policy.logits(prompts, tokens, mask), tokens[mask])
    offsets = torch.tensor([0, *map(len, encoded)]).cumsum(0)
    reads = truth_signals(readings, tokens[mask].cpu(), offsets, policy.tokenizer)[READS].to(policy.device)
    pieces = token_bytes(policy.tokenizer)
    digit = torch.tensor([any(48 <= byte <= 57 for byte in pieces[token]) for token in tokens[mask].tolist()])
    counted = log_probs * reads * digit.to(policy.device)
    return torch.stack([part.sum() for part in counted.split(list(map(len, encoded)))]).exp().cpu()


def exact(texts: Sequence[str], answers: Sequence[str], lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Verdicts of exact match, which are the rewards."""
    correct = torch.tensor([is_correct(text, answer) for text, answer in zip(texts, answers, strict=True)])
    return correct, correct.float()
