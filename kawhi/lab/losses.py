"""Advantages, loss and optimiser of a cell: verl's own functions, called with a cell's settings and no trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor
from verl.trainer.ppo.core_algos import agg_loss, get_adv_estimator_fn, get_policy_loss_fn
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.config import FSDPActorConfig
from verl.workers.config.optimizer import build_optimizer

import kawhi.verl_plugin.estimators  # noqa: F401  # registers equation 1 as the paper writes it
from kawhi.base.errors import CellError
from kawhi.credit.methods import AddsLoss, CreditMethod
from kawhi.lab.rollouts import Rollouts
from kawhi.runs.verl_settings import settings


class Objective:
    """What a cell minimises in one update of a step.

    Raises:
        CellError: a setting that needs a second model, a second update, or a term that the lab does not have.
    """

    def __init__(self, cell: DictConfig):
        found = settings(cell)
        actor = found.actor_rollout_ref.actor
        refused = {
            "actor.use_kl_loss": actor.use_kl_loss,
            "actor.entropy_coeff": actor.entropy_coeff,
            "algorithm.use_kl_in_reward": found.algorithm.use_kl_in_reward,
            "actor.ppo_mini_batch_size below data.train_batch_size": actor.ppo_mini_batch_size
            < found.data.train_batch_size,
            "actor.ppo_epochs above 1": actor.ppo_epochs > 1,
        }
        if wrong := [name for name, given in refused.items() if given]:
            raise CellError(f"the lab makes one update a step, of the policy loss alone; it has no {', '.join(wrong)}")
        actor.rollout_n = found.actor_rollout_ref.rollout.n
        self.actor: FSDPActorConfig = omega_conf_to_dataclass(actor)
        self._estimator, self._normalised = found.algorithm.adv_estimator, found.algorithm.norm_adv_by_std_in_grpo

    def advantages(self, rollouts: Rollouts, rewards: Tensor) -> Tensor:
        """``(B, T)`` base advantages of all tokens, 0 behind a response."""
        token_rewards = torch.zeros(rollouts.mask.shape)
        token_rewards[torch.arange(len(rewards)), rollouts.lengths.cpu() - 1] = rewards.float()
        estimate = get_adv_estimator_fn(self._estimator)
        advantages, _ = estimate(
            token_level_rewards=token_rewards,
            response_mask=rollouts.mask.cpu().float(),
            index=np.array(rollouts.groups),
            **({"norm_adv_by_std_in_grpo": self._normalised} if self._estimator == "grpo" else {}),
        )
        return advantages

    def loss(
        self,
        rollouts: Rollouts,
        log_probs: Tensor,
        old_log_probs: Tensor,
        advantages: Tensor,
        added: Tensor | None = None,
    ) -> Tensor:
        """The policy loss of all responses of a step as one mini-batch.

        Args:
            log_probs, old_log_probs: ``(S,)``, response after response.
            advantages: ``(B, T)``, weighted.
            added: ``(S,)`` what a credit method adds to the loss of each token.
        """
        mask = rollouts.mask
        self.actor.global_batch_info.update(
            dp_size=1,
            batch_num_tokens=int(mask.sum()),
            global_batch_size=len(mask),
            loss_scale_factor=self.actor.loss_scale_factor,
        )
        loss, _ = get_policy_loss_fn(self.actor.policy_loss.get("loss_mode", "vanilla"))(
            old_log_prob=padded(old_log_probs, mask),
            log_prob=padded(log_probs, mask),
            advantages=advantages.to(mask.device),
            response_mask=mask,
            loss_agg_mode=self.actor.loss_agg_mode,
            config=self.actor,
        )
        if added is None:
            return loss
        return loss + agg_loss(padded(added, mask), mask, self.actor.loss_agg_mode, **self.actor.global_batch_info)

    def optimizer(self, model: torch.nn.Module) -> Any:
        """verl's, for all weights."""
        return build_optimizer(model.parameters(), self.actor.optim)


def added_loss(method: CreditMethod, log_probs: Tensor, signals: Mapping[str, Tensor]) -> Tensor | None:
    """``(S,)`` what a method adds to the loss of each token; ``None`` for most."""
    return method.added_loss(log_probs, signals) if isinstance(method, AddsLoss) else None


def padded(values: Tensor, mask: Tensor) -> Tensor:
    """``(S,)`` values at their places ``(B, T)``, 0 elsewhere."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)


class BoxedReward:
    """Exact match of the last ``\\boxed{}``, minus DAPO's penalty for overlong responses where a cell has it."""

    def __init__(self, cell: DictConfig):
        found = settings(cell)
        manager = found.reward.reward_manager.name
        if manager not in ("naive", "dapo"):
            raise CellError(f"the lab knows the reward managers naive and dapo, not {manager}")
        kwargs = found.reward.get("reward_kwargs") or {}
        self._buffer = kwargs.get("overlong_buffer_cfg") if manager == "dapo" else None
        self._limit = int(kwargs["max_resp_len"]) if self._buffer else 0

    def __call__(self, texts, answers, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Verdicts and rewards of responses of these lengths."""
        from kawhi.rewards.boxed import is_correct

        correct = torch.tensor([is_correct(text, answer) for text, answer in zip(texts, answers, strict=True)])
        rewards = correct.float()
        if self._buffer and self._buffer.enable:
            beyond = lengths - (self._limit - self._buffer.len)
            rewards = rewards + (-beyond / self._buffer.len * self._buffer.penalty_factor).clamp(max=0)
        return correct, rewards
