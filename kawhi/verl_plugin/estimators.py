"""Equation 1 under a name of verl's: ``algorithm.adv_estimator=grpo_population_std`` (``equations=paper``).

verl's ``grpo`` divides by the unbiased standard deviation, which is larger by sqrt(G / (G - 1)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from verl.trainer.ppo.core_algos import register_adv_est

from kawhi.credit.advantages import group_advantages


@register_adv_est("grpo_population_std")
def population_std_advantages(
    token_level_rewards: Tensor, response_mask: Tensor, index: Sequence[Any], config: Any = None, **_: Any
) -> tuple[Tensor, Tensor]:
    """Advantages and returns, both ``(B, T)``: equation 1 on the summed rewards ``(B, T)``, spread over ``mask``."""
    advantages = group_advantages(token_level_rewards.sum(dim=-1), list(index))
    spread = advantages.unsqueeze(-1) * response_mask
    return spread, spread
