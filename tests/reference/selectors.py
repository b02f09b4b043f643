"""Equation 11's sample size and VisionZip's choice, in floating point as they are written."""

from __future__ import annotations

import math


def kept_tokens(tokens: int, skip_ratio: float) -> int:
    """Equation 11's sample size, rounded half up."""
    return math.floor((1 - skip_ratio) * tokens + 0.5)


def attended(received: list[float], keep_ratio: float) -> list[int]:
    """The tokens that receive most, one after the other; of equal ones the first."""
    left = list(range(len(received)))
    taken = []
    for _ in range(min(len(left), max(1, math.floor(keep_ratio * len(left) + 0.5)))):
        best = left[0]
        for token in left:
            if received[token] > received[best]:
                best = token
        left.remove(best)
        taken.append(best)
    return sorted(taken)
