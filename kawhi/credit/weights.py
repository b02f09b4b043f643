"""From alpha per token to a weight per paragraph: equations 14-15."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from kawhi.credit.options import check_choice

Normalization = Literal["paper", "mean_one", "constant", "batch_mean_one", "batch_constant"]
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
    """Weight of every token of one response: equations 14 and 15, and controls.

    Args:
        alpha: ``(T,)`` alignment of equation 13.
        segments: ``(T,)`` int64 paragraph indices, from :func:`kawhi.credit.segments.segment_response`.
        w_min, w_max: range of the weights.
        temperature: tau of equation 15, > 0.
        smoothing: lambda of equation 15, in [0, 1].
        normalize: ``paper`` is equation 15; ``mean_one`` divides it by its mean over the response's tokens, so that the
            advantage is redistributed but not shrunk; ``constant`` gives every paragraph the paper's mean weight
            ``w_min + (w_max - w_min) / M``, so that it is shrunk but not redistributed.  ``batch_mean_one`` and
            ``batch_constant`` are the same of all responses of a batch together: the advantages' mean weight over all
            tokens is 1, so that they stand to a KL term as without weights, or it is the paper's in every token.

    Returns:
        ``(T,)`` float32.

    Raises:
        ValueError: an option outside its range, a negative paragraph index, or tensors of different lengths.
    """
    alpha, segments = torch.as_tensor(alpha), torch.as_tensor(segments)
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
    w_min: float = 0.1,
    w_max: float = 1.0,
    temperature: float = 0.1,
    smoothing: float = 0.1,
    normalize: Normalization = "paper",
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
    if int(segments.min()) < 0:
        raise ValueError(f"paragraph index {int(segments.min())} is negative")
    owner, paragraph, run_lengths = _paragraph_runs(segments, offsets)
    responses = len(offsets) - 1
    total = torch.segment_reduce(alpha.double(), "sum", lengths=run_lengths)
    tokens = _sum_by(paragraph, run_lengths.double(), len(owner))
    mean = _sum_by(paragraph, total, len(owner)) / tokens  # equation 14
    count = torch.bincount(owner, minlength=responses)

    peak = mean.new_full((responses,), -torch.inf).scatter_reduce_(0, owner, mean, "amax")
    exponential = torch.exp((mean - peak[owner]) / temperature)
    share = exponential / _sum_by(owner, exponential, responses)[owner]
    mixed = (1 - smoothing) * share + smoothing / count[owner]
    if normalize == "constant":
        mixed = 1.0 / count[owner].double()
    weight = w_min + (w_max - w_min) * mixed  # equation 15
    if normalize == "mean_one":
        weight = weight * (_sum_by(owner, tokens, responses) / _sum_by(owner, tokens * weight, responses))[owner]
    if normalize == "batch_mean_one":
        weight = weight * (tokens.sum() / (tokens * weight).sum())
    if normalize == "batch_constant":
        weight = ((tokens * weight).sum() / tokens.sum()).expand_as(weight)
    return torch.repeat_interleave(weight.float()[paragraph], run_lengths)


def _paragraph_runs(segments: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The batch as ``R`` runs of tokens in one paragraph, so that only runs are sorted and grouped, not tokens.

    Returns:
        ``(P,)`` the response that owns each paragraph, ``(R,)`` the paragraph of each run, ``(R,)`` tokens per run.
    """
    opens = torch.ones(len(segments), dtype=torch.bool, device=segments.device)
    torch.ne(segments[1:], segments[:-1], out=opens[1:])
    opens[offsets[:-1][offsets[:-1] < len(segments)]] = True
    start = torch.nonzero(opens)[:, 0]
    run_lengths = torch.diff(start, append=start.new_tensor([len(segments)]))
    response = torch.searchsorted(offsets, start, right=True) - 1  # an empty response owns no run
    key = response * (segments.max() + 1) + segments[start]
    if bool((key[1:] > key[:-1]).all()):  # every paragraph is one run, as segmentation makes them
        return response, torch.arange(len(start), device=start.device), run_lengths
    unique, paragraph = torch.unique(key, return_inverse=True)
    return unique // (segments.max() + 1), paragraph, run_lengths


def _sum_by(index: Tensor, values: Tensor, size: int) -> Tensor:
    return values.new_zeros(size).index_add_(0, index, values)


def check_options(*, w_min: float, w_max: float, temperature: float, smoothing: float, normalize: str) -> None:
    """Raises:
    ValueError: an option of equation 15 outside its range; the message says which range.
    """
    check_choice("normalize", normalize, Normalization)
    given = f"got {temperature=} {smoothing=} {w_min=} {w_max=}"
    if not temperature > 0 or not 0 <= smoothing <= 1 or not -math.inf < w_min <= w_max < math.inf:  # NaN included
        raise ValueError(f"need temperature > 0, smoothing in [0, 1] and finite w_min <= w_max, {given}")
    if normalize.endswith("mean_one") and not (w_min >= 0 and w_max > 0):
        raise ValueError(f"{normalize} divides by the mean weight, so it needs w_min >= 0 and w_max > 0, {given}")
