"""What a table says about chance: the interval of a proportion and the difference two cells can show."""

from __future__ import annotations

import math

from scipy.stats import binomtest, norm


def wilson_interval(correct: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion; unlike the normal one it stays within [0, 1] near the ends."""
    interval = binomtest(correct, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def detectable_difference(rate: float, n: int, confidence: float = 0.95, power: float = 0.80) -> float:
    """Smallest difference of two proportions that a two-sided, unpaired test finds with the given power.

    Normal approximation, ``n`` answers in each cell and both variances taken at ``rate``.  A smaller difference in a
    table is not evidence.
    """
    if not 0 < rate < 1:
        raise ValueError(f"the normal approximation needs a rate strictly between 0 and 1, got {rate}")
    quantiles = norm.ppf(1 - (1 - confidence) / 2) + norm.ppf(power)
    return float(quantiles * math.sqrt(2 * rate * (1 - rate) / n))
