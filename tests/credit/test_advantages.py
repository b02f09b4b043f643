"""Equation 1, and what distinguishes it from verl's advantages."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kawhi.credit.advantages import EPSILON, group_advantages

BATCHES = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 1.0, 1.0]), st.sampled_from("abc")), min_size=1, max_size=12)


def literal(batch) -> list[float]:
    result = []
    for reward, group in batch:
        own = [r for r, g in batch if g == group]
        mu = sum(own) / len(own)
        sigma = math.sqrt(sum((r - mu) ** 2 for r in own) / len(own))
        result.append((reward - mu) / (sigma + EPSILON))
    return result


@given(BATCHES)
def test_equation_1(batch):
    got = group_advantages(torch.tensor([r for r, _ in batch], dtype=torch.float64), [g for _, g in batch])
    np.testing.assert_allclose(got, literal(batch), atol=1e-8)


def test_verl_divides_by_more():
    pytest.importorskip("verl", reason="the training extra is not installed")
    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage, get_adv_estimator_fn

    import kawhi.verl_plugin.estimators  # noqa: F401

    rewards = torch.tensor([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    mask = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    groups = np.array(["a"] * 5, dtype=object)
    stock, _ = compute_grpo_outcome_advantage(rewards, mask, groups)
    ours, returns = get_adv_estimator_fn("grpo_population_std")(
        token_level_rewards=rewards, response_mask=mask, index=groups, config=None
    )
    assert torch.equal(ours, returns)
    torch.testing.assert_close(stock, ours * math.sqrt(4 / 5), atol=1e-5, rtol=0)
