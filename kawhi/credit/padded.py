"""The paper's steps on right-padded responses ``(B, T)`` with a mask, as most trainers hold them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kawhi.credit.segments import Granularity, packed_segments
from kawhi.credit.weights import packed_paragraph_weights


def padded_segments(token_ids: Tensor, mask: Tensor, tokenizer, granularity: Granularity = "paragraph") -> Tensor:
    """:func:`kawhi.segment_response` of each row.

    Args:
        token_ids: ``(B, T)`` response tokens.
        mask: ``(B, T)`` bool or int, 0 where there is none, at the end or anywhere.
        tokenizer, granularity: as there.

    Returns:
        ``(B, T)`` int64, starting at 0 in each row; -1 where the mask is 0.

    Raises:
        ValueError: as there, or a mask of another shape.
    """
    own, offsets = _offsets(token_ids, mask)
    found = packed_segments(token_ids[own], offsets, tokenizer, granularity)
    return torch.full_like(token_ids, -1, dtype=torch.long).masked_scatter(own, found)


def padded_paragraph_weights(alpha: Tensor, segments: Tensor, mask: Tensor, **options: Any) -> Tensor:
    """:func:`kawhi.paragraph_weights` of each row.

    Args:
        alpha: ``(B, T)``.
        segments: ``(B, T)``, of :func:`padded_segments`.
        mask: ``(B, T)`` bool or int, 0 where there is no token.
        options: as there; ``batch_mean_one`` and ``batch_constant`` are over all rows.

    Returns:
        ``(B, T)`` float32; 0 where the mask is 0.

    Raises:
        ValueError: as there, or a mask of another shape.
    """
    own, offsets = _offsets(alpha, mask)
    found = packed_paragraph_weights(alpha[own], segments[own], offsets, **options)
    return torch.zeros_like(alpha, dtype=torch.float32).masked_scatter(own, found)


def _offsets(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The mask as bool, and where the rows start in what it leaves of them."""
    if values.ndim != 2 or mask.shape != values.shape:
        raise ValueError(f"a mask of {tuple(mask.shape)} for {tuple(values.shape)}: both must be the same (B, T)")
    own = mask.bool()
    return own, torch.cat([own.new_zeros(1, dtype=torch.long), own.sum(dim=1).cumsum(dim=0)])
