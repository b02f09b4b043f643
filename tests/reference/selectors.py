"""Equation 11's sample size and VisionZip's choice, in exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction


def kept_tokens(tokens: int, skip_ratio: str) -> int:
    """Equation 11's sample size, rounded half up; the ratio is a decimal string."""
    return math.floor((1 - Fraction(skip_ratio)) * tokens + Fraction(1, 2))


def attended(received: list[float], keep_ratio: str) -> list[int]:
    """The tokens that receive most, one after the other; of equal ones the first."""
    left = list(range(len(received)))
    taken = []
    for _ in range(min(len(left), max(1, math.floor(Fraction(keep_ratio) * len(left) + Fraction(1, 2))))):
        best = left[0]
        for token in left:
            if received[token] > received[best]:
                best = token
        left.remove(best)
        taken.append(best)
    return sorted(taken)
