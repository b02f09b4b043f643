"""Group-relative advantages as the paper writes them (equation 1)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

EPSILON = 1e-6
"""Equation 1's epsilon, whose value the paper does not give; verl's."""


def group_advantages(rewards: Tensor, groups: Sequence[Hashable]) -> Tensor:
    """Equation 1: ``(R - mu) / (sigma + eps)`` with the standard deviation over all G responses of a prompt.

    Args:
        rewards: ``(B,)``.
        groups: prompt of each response.

    Returns:
        ``(B,)``; 0 for a response without siblings, which has nothing to be compared with.
    """
    numbers = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    index = torch.tensor([numbers[group] for group in groups], device=rewards.device, dtype=torch.long)
    zeros = torch.zeros(len(numbers), dtype=torch.float64, device=rewards.device)
    count = zeros.index_add(0, index, torch.ones_like(rewards, dtype=torch.float64))
    mean = zeros.index_add(0, index, rewards.double()) / count
    centred = rewards.double() - mean[index]
    deviation = (zeros.index_add(0, index, centred.square()) / count).sqrt()
    return (centred / (deviation[index] + EPSILON)).to(rewards.dtype)
