"""One training run of the lab: a cell, a seed, a world, and how well the policy reads before, during and after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.credit.methods import AddsLoss, ChangesAdvantages, CreditMethod, ShapesRewards, configured, credit
from kawhi.lab.evaluation import Evaluation, Evaluator, read_share
from kawhi.lab.losses import BoxedReward, Objective, added_loss
from kawhi.lab.policy import Policy
from kawhi.lab.rollouts import Item, Rollouts, item_of, joined, sample
from kawhi.lab.signals import Gatherer
from kawhi.regions.seeds import stable_seed
from kawhi.runs.verl_settings import settings
from kawhi.tiny.worlds import named, problems_of

Told = Callable[[int], None]


@dataclass(frozen=True)
class Schedule:
    """How a run is made, beside its cell.

    Attributes:
        seed: of the prompts and of the sampling, the same for every method.
        every: steps between two measurements; the policy is also measured before the first step and after the last.
    """

    seed: int
    every: int
    evaluation: Evaluation


class Student:
    """A policy that learns by a cell's algorithm and credit method."""

    def __init__(self, cell: DictConfig, policy: Policy):
        self.policy, self.cell = policy, cell
        kawhi: Any = OmegaConf.to_container(cell.kawhi, resolve=True)
        self.credit: CreditMethod = configured(kawhi)
        self.gather = Gatherer(policy, kawhi, self.credit.needs)
        self.objective = Objective(cell)
        self.optimizer = self.objective.optimizer(policy.model)

    def step(self, rollouts: Rollouts, step: int) -> dict[str, float]:
        """One update; returns what there is to say about it."""
        rewards = self.rewards(rollouts)
        advantages = self.objective.advantages(rollouts, rewards)
        moving = advantages.view(len(rollouts.items), -1).abs().amax(dim=1) > 0
        trained = torch.nonzero(moving)[:, 0].tolist()
        if isinstance(self.credit, ChangesAdvantages | AddsLoss):
            trained = list(range(len(rollouts.items)))
        said = {"reward": float(rollouts.rewards.mean()), "right": float(rollouts.correct.float().mean())}
        if not trained:
            return said | {"gradient": 0.0, "weight": 0.0, "spread": 0.0}
        log_probs, signals = self.gather(rollouts, step, trained)
        own, mask = rollouts.batch(self.policy.tokenizer, signals, rewards), rollouts.mask.cpu()
        changed, weights = credit(self.credit, own, advantages[mask])
        weighted = advantages.masked_scatter(mask, changed * weights)
        added = added_loss(self.credit, log_probs, signals)
        loss = self.objective.loss(rollouts, log_probs, log_probs.detach(), weighted, added)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.policy.model.parameters(), self.objective.actor.optim.clip_grad)
        self.optimizer.step()
        return said | {
            "gradient": float(norm),
            "weight": float(weights.mean()),
            "spread": float(weights.std(unbiased=False)),
        }

    def rewards(self, rollouts: Rollouts) -> Tensor:
        """Those of the base algorithm, or what the method makes of them."""
        if not isinstance(self.credit, ShapesRewards):
            return rollouts.rewards
        return self.credit.shaped_rewards(rollouts.batch(self.policy.tokenizer, {}, rollouts.rewards))


class Prompter:
    """Rollouts of each step: the prompts of a seed in their order, DAPO's dynamic sampling where a cell asks for it."""

    def __init__(self, cell: DictConfig, policy: Policy, seed: int):
        found, size = settings(cell), cell.model.image_size
        self._policy, self._seed = policy, seed
        drawn = enumerate(problems_of(named(cell.data), "train", seed))
        self._stream: Iterator[Item] = (item_of(index, problem, size) for index, problem in drawn)
        self._count, self._group = found.data.train_batch_size, found.actor_rollout_ref.rollout.n
        self._limit, self._reward = found.data.max_response_length, BoxedReward(cell)
        filtered = found.algorithm.get("filter_groups") or {}
        self._dynamic, self._rounds = bool(filtered.get("enable")), int(filtered.get("max_num_gen_batches") or 0)

    def __call__(self, step: int) -> Rollouts:
        """Raises:
        CellError: too many groups agree for dynamic sampling.
        """
        if not self._dynamic:
            return self._sampled(step, 0)
        kept: list[Rollouts] = []
        for number in range(self._rounds):
            part = self._sampled(step, number)
            if mixed := part.mixed():
                kept.append(part.take(mixed))
            if sum(len(each.items) for each in kept) >= self._count:
                break
        else:
            raise CellError(
                f"dynamic sampling tried {self._rounds * self._count} prompts in step {step} and found too few groups "
                "with both right and wrong responses"
            )
        return joined(kept, self._policy).take(range(self._count))

    def _sampled(self, step: int, number: int) -> Rollouts:
        batch = list(islice(self._stream, self._count))
        seed = stable_seed(self._seed, step, number)
        return sample(self._policy, batch, self._group, self._limit, seed, self._reward)


def train(cell: DictConfig, schedule: Schedule, told: Told = lambda step: None) -> dict[str, Any]:
    """Trains and measures; the result is what a run's file says beside its configuration.

    Args:
        told: is called after each step.
    """
    torch.set_num_threads(1)
    started, wall = time.process_time(), time.time()
    policy = Policy(resolve_package_paths(cell.model.path))
    student = Student(cell, policy)
    evaluator = Evaluator(policy, cell, schedule.evaluation)
    prompter = Prompter(cell, policy, schedule.seed)
    measured, steps, learning = [evaluator(0)], [], 0.0
    for step in range(1, cell.steps + 1):
        began = time.process_time()
        rollouts = prompter(step)
        steps.append(student.step(rollouts, step) | {"length": float(rollouts.lengths.float().mean())})
        steps[-1]["read"] = read_share(rollouts)
        learning += time.process_time() - began
        if step % schedule.every == 0 or step == cell.steps:
            measured.append(evaluator(step))
        told(step)
    return {
        "measured": measured,
        "steps": steps,
        "processor_seconds": time.process_time() - started,
        "processor_seconds_of_a_step": learning / max(1, cell.steps),
        "seconds": time.time() - wall,
    }
