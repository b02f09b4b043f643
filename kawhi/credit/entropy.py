"""Entropy of the nucleus: of the most probable tokens alone (equation 5 of ToR)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kawhi.credit.options import check_share

_AT_ONCE = {"cpu": 1 << 20, "cuda": 1 << 26}
"""Elements of a copy of the logits: our choice; 4 MB stay in a processor's cache, 256 MB keep a GPU busy."""
_FEW = 256
"""Our choice: most nuclei of a trained model are smaller; the largest 256 of 150,000 take 1/50 of a sort's time."""


@torch.no_grad()
def nucleus_entropy(
    logits: Tensor, p: float, *, rows: Tensor | None = None, temperature: float | Tensor = 1.0
) -> Tensor:
    """Entropy in nats of each distribution, cut to its nucleus and renormalised.

    The nucleus is the smallest set of most probable tokens whose probabilities sum to at least ``p``; with ``p = 1``
    the result is the ordinary entropy.  Rows are taken some at a time, so that copies of the logits stay small, and
    only rows whose nucleus has more than a few tokens are sorted.

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
    at_once = max(1, _AT_ONCE[logits.device.type] // max(1, logits.shape[-1]))
    for start in range(0, len(wanted), at_once):
        part = slice(start, start + at_once)
        divisor = temperature[part, None] if isinstance(temperature, Tensor) else temperature
        log_probs = logits[wanted[part]].float().div_(divisor).log_softmax(dim=-1)
        entropy[part] = _of_rows(log_probs, p)
    return entropy


def _of_rows(log_probs: Tensor, p: float) -> Tensor:
    """``(B, V)`` -> ``(B,)``."""
    few = min(_FEW, log_probs.shape[-1])
    entropy, mass = _of_largest(log_probs.topk(few).values, p)
    larger = torch.nonzero(mass < p)[:, 0]
    if few < log_probs.shape[-1] and len(larger):
        entropy[larger] = _of_largest(_descending(log_probs[larger]), p)[0]
    return entropy


def _of_largest(log_probs: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Entropies of nuclei within the largest log-probabilities ``(B, K)``, which descend; and the mass of those."""
    probability = log_probs.exp()
    mass = probability.cumsum(dim=-1)
    probability = probability.masked_fill(mass - probability >= p, 0.0)
    # Divided first: a nucleus of one token then has an entropy of exactly 0, whatever kernel computed the logits.
    # Methods rank tokens by entropy, and most tokens of a confident model are such ones.
    probability.div_(probability.sum(dim=-1, keepdim=True))
    return torch.special.entr(probability).sum(dim=-1), mass[:, -1]


def _descending(values: Tensor) -> Tensor:
    """Each row sorted; on a CPU by NumPy, which takes a twentieth of torch's time as it keeps no indices."""
    if values.device.type != "cpu":
        return values.sort(dim=-1, descending=True).values
    return torch.from_numpy(-np.sort(-values.numpy()))
