"""Makes patches of an image black, on the processor's output: what a response owes to the image shows in what it loses.

The number of tokens and the grid stay the same, so positions and prompt do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def blacken(pixel_values: Tensor, rows: Tensor, *, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """A copy of ``pixel_values`` with some patches black.

    Args:
        pixel_values: ``(R, 3 * temporal * patch ** 2)`` of a Qwen-VL image processor, one row per patch, channel first.
        rows: ``(R,)`` bool, the patches to make black.
        mean, std: the processor's normalisation per channel.
    """
    zero = -torch.tensor(mean, dtype=torch.float32) / torch.tensor(std, dtype=torch.float32)
    black = zero.repeat_interleave(pixel_values.shape[1] // 3).to(pixel_values)
    return torch.where(rows[:, None].to(pixel_values.device), black, pixel_values)


def random_rows(count: int, share: float, seed: int) -> Tensor:
    """``(count,)`` bool, each True with probability ``share``; all for 1, whatever the seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, generator=generator) < share
