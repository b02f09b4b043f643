"""From alpha per token to a weight per paragraph: equations 14-15."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

Normalization = Literal["paper", "mean_one", "constant"]
NORMALIZATIONS: tuple[Normalization, ...] = get_args(Normalization)


def paragraph_weights(
    alpha: Tensor,
    segments: Tensor,
    *,
    w_min: float = 0.1,
    w_max: float = 1.0,
    temperature: float = 0.1,
    smoothing: float = 0.1,
    normalize: Normalization = "paper",
) -> Tensor:
    """Weight of every token of one response.

    Args:
        alpha: ``(T,)`` alignment of equation 13.
        segments: ``(T,)`` int64 paragraph indices, from :func:`kawhi.credit.segments.segment_response`.
        w_min, w_max: range of the weights.
        temperature: tau of equation 15, > 0.
        smoothing: lambda of equation 15, in [0, 1].
        normalize: ``paper`` is equation 15; ``mean_one`` divides it by its mean over the response's tokens, so that the
            advantage is redistributed but not shrunk; ``constant`` gives every paragraph the paper's mean weight
            ``w_min + (w_max - w_min) / M``, so that it is shrunk but not redistributed.

    Returns:
        ``(T,)`` float32.

    Raises:
        ValueError: an option outside its range, or tensors of different lengths.
    """
    offsets = torch.tensor([0, len(alpha)], device=alpha.device)
    return packed_paragraph_weights(
        alpha,
        segments,
        offsets,
        w_min=w_min,
        w_max=w_max,
        temperature=temperature,
        smoothing=smoothing,
        normalize=normalize,
    )


def packed_paragraph_weights(
    alpha: Tensor,
    segments: Tensor,
    offsets: Tensor,
    *,
    w_min: float,
    w_max: float,
    temperature: float,
    smoothing: float,
    normalize: Normalization,
) -> Tensor:
    """:func:`paragraph_weights` for a packed batch of ``B`` responses.

    Args:
        alpha: ``(S,)`` of all responses, concatenated.
        segments: ``(S,)`` paragraph indices, starting at 0 in each response.
        offsets: ``(B + 1,)`` int64, where each response starts; the last entry is ``S``.

    Returns:
        ``(S,)`` float32.
    """
    check_options(w_min=w_min, w_max=w_max, temperature=temperature, smoothing=smoothing, normalize=normalize)
    if not len(alpha) == len(segments) == int(offsets[-1]):
        raise ValueError(f"alpha ({len(alpha)}), segments ({len(segments)}) and offsets ({int(offsets[-1])}) differ")
    if len(alpha) == 0:
        return alpha.float()
    lengths = offsets.diff()
    response = torch.repeat_interleave(torch.arange(len(lengths), device=alpha.device), lengths)
    # One global index per (response, paragraph).
    stride = int(segments.max()) + 1
    _, paragraph, sizes = torch.unique(response * stride + segments, return_inverse=True, return_counts=True)
    owner = torch.empty_like(sizes).scatter_(0, paragraph, response)
    mean = torch.zeros(len(sizes), device=alpha.device).index_add_(0, paragraph, alpha.float()) / sizes  # equation 14
    count = torch.bincount(owner, minlength=len(lengths))

    peak = torch.full((len(lengths),), -torch.inf, device=alpha.device).scatter_reduce_(0, owner, mean, "amax")
    exponential = torch.exp((mean - peak[owner]) / temperature)
    total = torch.zeros(len(lengths), device=alpha.device).index_add_(0, owner, exponential)
    mixed = (1 - smoothing) * exponential / total[owner] + smoothing / count[owner]
    if normalize == "constant":
        mixed = 1.0 / count[owner]
    weight = (w_min + (w_max - w_min) * mixed)[paragraph]  # equation 15
    if normalize == "mean_one":
        token_mean = torch.zeros(len(lengths), device=alpha.device).index_add_(0, response, weight) / lengths
        weight = weight / token_mean[response]
    return weight


def check_options(*, w_min: float, w_max: float, temperature: float, smoothing: float, normalize: str) -> None:
    """Raises:
    ValueError: an option of equation 15 outside its range; the message says which range.
    """
    if normalize not in NORMALIZATIONS:
        raise ValueError(f"unknown normalize {normalize!r}; choose one of {', '.join(NORMALIZATIONS)}")
    if temperature <= 0 or not 0 <= smoothing <= 1 or w_min > w_max:
        raise ValueError(
            f"need temperature > 0, smoothing in [0, 1] and w_min <= w_max, got {temperature=} {smoothing=} "
            f"{w_min=} {w_max=}"
        )
