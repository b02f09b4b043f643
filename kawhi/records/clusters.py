"""Items that are not independent: several questions about one picture, several versions of one problem."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def numbered(names: Sequence[str]) -> list[int]:
    """Which cluster each item belongs to, counted from 0 in the order in which they come."""
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return [number[name] for name in names]


def effective_size(values: ArrayLike, clusters: ArrayLike | None = None) -> float:
    """As how many independent items the mean of these items is sure: n over the design effect.

    The design effect is the cluster-robust variance of the mean over that of independent items.  Where nothing varies
    nobody knows it, and a cluster counts as one item.

    Args:
        values: ``(n,)`` scores in [0, 1].
        clusters: ``(n,)`` counted from 0; ``None`` where each item is one of its own.
    """
    scores = np.asarray(values, np.float64)
    deviations = scores - scores.mean()
    n, labels = len(deviations), np.arange(len(deviations)) if clusters is None else np.asarray(clusters)
    sums = np.bincount(labels, deviations)
    count, items, own = len(sums), float(deviations @ deviations), float(sums @ sums)
    if count == 1 or items < 1e-12:
        return float(count)
    effect = own * count / (count - 1) / (items * n / (n - 1))
    return n / effect if effect > 1e-12 else float(n)


def wilson_interval(share: float, size: float, z: float) -> tuple[float, float]:
    """Wilson's score interval of a share of ``size`` independent items, which need not be a whole number."""
    scale = 2 * (size + z**2)
    centre = (2 * size * share + z**2) / scale
    reach = z / scale * math.sqrt(4 * size * share * (1 - share) + z**2)
    return 0.0 if share == 0 else centre - reach, 1.0 if share == 1 else centre + reach
