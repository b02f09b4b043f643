"""How well a policy reads: exactly, by the probability of what it ought to read, and sampled, by its answers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from omegaconf import DictConfig
from transformers import PreTrainedModel

from kawhi.base.errors import CellError
from kawhi.credit.readings import read_rightly, truth
from kawhi.lab.losses import BoxedReward
from kawhi.lab.policy import Policy
from kawhi.lab.rollouts import Rollouts, item_of, sample
from kawhi.tiny.batching import Batcher
from kawhi.tiny.reading_probability import reading_probabilities
from kawhi.tiny.reading_world import ReadingProblem
from kawhi.tiny.worlds import named, problems_of

AT_ONCE = 50
"""Problems whose sampled answers one pass computes."""


@dataclass(frozen=True)
class Evaluation:
    """What a policy is measured on.

    Attributes:
        problems: of the held-out split.
        seed: of these problems and of the sampling.
        responses: sampled for each problem.
    """

    problems: int
    seed: int
    responses: int


class Evaluator:
    """Measures one policy again and again, on the same problems and with the same noise.

    Raises:
        CellError: a world whose readings nobody knows.
    """

    def __init__(self, policy: Policy, cell: DictConfig, evaluation: Evaluation):
        self._policy, self._evaluation = policy, evaluation
        world = named(cell.data)
        drawn = list(islice(problems_of(world, "heldout", evaluation.seed), evaluation.problems))
        self._problems = [problem for problem in drawn if isinstance(problem, ReadingProblem)]
        if len(self._problems) < len(drawn):
            raise CellError(f"nobody knows what has to be read in the world {world}: take data=reading")
        self._items = [item_of(index, problem, cell.model.image_size) for index, problem in enumerate(drawn)]
        self._limit, self._reward = cell.verl.data.max_response_length, BoxedReward(cell)
        model: PreTrainedModel = policy.model
        self._batcher = Batcher(model.config.model_type, policy.tokenizer)

    def __call__(self, step: int) -> dict[str, Any]:
        """Means over the problems: P(reading right), exactly, and what sampled answers got right."""
        each = reading_probabilities(self._policy.model, self._batcher, self._problems)
        return {"step": step, "read": float(each.mean()), "read_each": each.round(6).tolist()} | self._sampled()

    def _sampled(self) -> dict[str, float]:
        own, right, read = self._evaluation, 0.0, 0.0
        for first in range(0, len(self._items) if own.responses else 0, AT_ONCE):
            items = self._items[first : first + AT_ONCE]
            found = sample(self._policy, items, own.responses, self._limit, own.seed + first, self._reward)
            right += float(found.correct.sum())
            read += read_share(found) * len(found.texts)
        count = len(self._items) * own.responses
        return {"right": right / count, "sampled_read": read / count} if count else {}


def read_share(rollouts: Rollouts) -> float:
    """Share of the responses that read everything rightly."""
    readings = [item.readings or () for item in rollouts.items for _ in range(rollouts.group)]
    rightly = [read_rightly(truth(known, text)) for known, text in zip(readings, rollouts.texts, strict=True)]
    return sum(rightly) / len(rightly)
