"""Entropy of the nucleus: of the most probable tokens alone (equation 5 of ToR)."""

from __future__ import annotations

import torch
from torch import Tensor

from kawhi.credit.options import check_share

_ELEMENTS_AT_ONCE = 1 << 26  # of the sorted copy of the logits, 256 MB in float32


@torch.no_grad()
def nucleus_entropy(
    logits: Tensor, p: float, *, rows: Tensor | None = None, temperature: float | Tensor = 1.0
) -> Tensor:
    """Entropy in nats of each distribution, cut to its nucleus and renormalised.

    The nucleus is the smallest set of most probable tokens whose probabilities sum to at least ``p``; with ``p = 1``
    the result is the ordinary entropy.  Rows are taken some at a time, so the sorted copy never doubles the logits.

    Args:
        logits: ``(R, V)``, any float type.
        p: in (0, 1].
        rows: ``(T,)`` int64, the rows wanted; ``None`` for all.
        temperature: divides the logits; one for all, or ``(T,)``.

    Returns:
        ``(T,)`` float32.

    Raises:
        ValueError: ``p`` outside its range.
    """
    check_share("p", p)
    wanted = torch.arange(len(logits), device=logits.device) if rows is None else rows
    entropy = torch.empty(len(wanted), dtype=torch.float32, device=logits.device)
    at_once = max(1, _ELEMENTS_AT_ONCE // max(1, logits.shape[-1]))
    for start in range(0, len(wanted), at_once):
        part = slice(start, start + at_once)
        divisor = temperature[part, None] if isinstance(temperature, Tensor) else temperature
        ordered = (logits[wanted[part]].float() / divisor).log_softmax(dim=-1).sort(dim=-1, descending=True).values
        probability = ordered.exp()
        before = probability.cumsum(dim=-1) - probability  # mass of the more probable tokens
        probability = probability.masked_fill_(before >= p, 0.0)
        # Divided first: a nucleus of one token then has an entropy of exactly 0, whatever kernel computed the logits.
        # Methods rank tokens by entropy, and most tokens of a confident model are such ones.
        probability.div_(probability.sum(dim=-1, keepdim=True))
        entropy[part] = torch.special.entr(probability).sum(dim=-1)
    return entropy
