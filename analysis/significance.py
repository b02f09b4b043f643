"""What a table says about chance: intervals of scores and differences, tests, and what a design can show.

Scores and differences are fractions, not per cent.  Verdicts are (S, n) or (n,): training seeds × items of one
benchmark, values in [0, 1], all rows over the same items in the same order.  Clusters are (n,) labels of items that
belong together, of one picture or one problem.  The standard errors come from ``analysis.spread``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import binomtest, norm

from analysis.spread import Answers, Benchmark, estimate_and_spread
from kawhi.records import clusters as independent


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Interval):
    """A difference with its interval and the two-sided p of no difference; p < 1 − confidence iff 0 is outside."""

    p_value: float


@dataclass(frozen=True)
class McNemar:
    """How many items only one side has right, and the two-sided p of both sides being alike."""

    ours_only: int
    base_only: int
    p_value: float


def wilson_interval(correct: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion; unlike the normal one it stays within [0, 1] near the ends.

    Raises ValueError unless 0 ≤ correct ≤ n and n ≥ 1.
    """
    if not 0 <= correct <= n or n < 1:
        raise ValueError(f"a proportion is of 1 answer or more and at most all are right, got {correct} of {n}")
    # scipy.stats.binomtest gives the same, but also computes a p-value, which takes most of a table's time.
    return independent.wilson_interval(correct / n, n, float(ndtri((1 + confidence) / 2)))


def mean_interval(benchmarks: Sequence[Benchmark], confidence: float = 0.95) -> Interval:
    """Interval of the unweighted mean score of benchmarks of one side, with the same seeds on all.

    One benchmark with one seed of right-or-wrong verdicts and no clusters gets Wilson's interval.  Else it is all
    values π that are near enough, |p − π| ≤ h √(π (1 − π) / (p (1 − p))), where h = t_ν · standard error.  This is
    Wilson's interval with the sample size that gives this error, p (1 − p) / error²; it stays in [0, 1].  When nothing
    varies (all right or all wrong) the sample size is K² / Σ 1 / C_k for K benchmarks of C_k clusters.  A single item
    gives [0, 1] unless Wilson's own interval applies.

    Raises ValueError for seeds that differ between benchmarks.
    """
    if (alone := _proportion(benchmarks)) is not None:
        return Interval(alone.mean(), *wilson_interval(int(alone.sum()), alone.size, confidence))
    p, found = estimate_and_spread(benchmarks)
    half = found.half_width(confidence)
    if math.isinf(half):
        return Interval(p, 0.0, 1.0)
    if half > 0:
        ratio = half**2 / (p * (1 - p))
    else:
        clusters = [len(each.sides[0].sizes) for each in benchmarks]
        ratio = norm.ppf((1 + confidence) / 2) ** 2 * sum(1 / count for count in clusters) / len(clusters) ** 2
    centre = (p + ratio / 2) / (1 + ratio)
    reach = math.sqrt(ratio * p * (1 - p) + ratio**2 / 4) / (1 + ratio)
    # The ends contain p exactly; only rounding could say otherwise.
    return Interval(p, float(max(0.0, min(p, centre - reach))), float(min(1.0, max(p, centre + reach))))


def _proportion(benchmarks: Sequence[Benchmark]) -> np.ndarray | None:
    """Verdicts that Wilson's interval is made for: right or wrong, of one seed, each item a cluster."""
    if len(benchmarks) != 1:
        return None
    (answers,) = benchmarks[0].sides
    plain = len(answers.sums) == 1 and (answers.sizes == 1).all() and np.isin(answers.sums, (0, 1)).all()
    return answers.sums[0] if plain else None


def difference_interval(benchmarks: Sequence[Benchmark], confidence: float = 0.95) -> Difference:
    """Interval and p of the mean score over benchmarks of the first side less that of the second.

    d ± t_ν · standard error, cut to [−1, 1].  When nothing varies (the same difference on every item) that would have
    no width; then there are two made-up items, one won by each side (Bonett and Price, "Adjusted Wald confidence
    interval for a difference of binomial proportions based on paired data", 2012).  A single item shows nothing:
    [−1, 1] and p = 1.

    Raises ValueError for seeds that differ between benchmarks.
    """
    d, found = estimate_and_spread(benchmarks)
    half, p_value, centre = found.half_width(confidence), found.p_value(d), d
    if half == 0:
        n = sum(len(each.sides[0].sizes) for each in benchmarks)
        centre = n * d / (n + 2)
        error = math.sqrt(((n * d**2 + 2) / (n + 2) - centre**2) / (n + 2))
        half, p_value = norm.ppf((1 + confidence) / 2) * error, 2 * norm.sf(abs(centre) / error)
    low, high = max(-1.0, min(d, centre - half)), min(1.0, max(d, centre + half))
    return Difference(d, float(low), float(high), float(p_value))


def mcnemar(ours: ArrayLike, base: ArrayLike) -> McNemar:
    """Exact McNemar's test of two vectors of right-or-wrong verdicts (n,) over the same items.

    p is that of a fair coin for the items that only one side has right.  Raises ValueError for other shapes or values.
    """
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(base, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise ValueError(f"McNemar's test needs two vectors over the same items, got shapes {a.shape} and {b.shape}")
    if not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise ValueError("McNemar's test needs verdicts that are 0 or 1")
    ours_only, base_only = int((a > b).sum()), int((b > a).sum())
    discordant = ours_only + base_only
    p_value = float(binomtest(ours_only, discordant).pvalue) if discordant else 1.0
    return McNemar(ours_only, base_only, p_value)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment: p_(i) becomes max over j ≤ i of min(1, (m − j + 1) p_(j)).

    ``None`` stands for a comparison that was not run: it stays None and is not counted in m.  Raises ValueError for a
    value outside [0, 1].
    """
    run = [(p, index) for index, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(sorted(run)):
        if not 0 <= p <= 1:
            raise ValueError(f"a p-value lies in [0, 1], got {p}")
        highest = max(highest, min(1.0, (len(run) - rank) * p))
        adjusted[index] = highest
    return adjusted


def detectable_difference(rate: float, n: float, confidence: float = 0.95, power: float = 0.80) -> float:
    """Smallest difference of two proportions that a two-sided, unpaired test finds with the given power.

    Normal approximation, ``n`` independent answers in each cell and both variances taken at ``rate``.  A smaller
    difference in a table is not evidence.
    """
    if not 0 < rate < 1:
        raise ValueError(f"the normal approximation needs a rate strictly between 0 and 1, got {rate}")
    return _quantiles(confidence, power) * math.sqrt(2 * rate * (1 - rate) / n)


def detectable_paired_difference(
    ours: ArrayLike, base: ArrayLike, clusters: ArrayLike | None = None, confidence: float = 0.95, power: float = 0.80
) -> float:
    """Smallest difference that a two-sided test of paired items finds with the given power, at one seed per side.

    (z_{1−α/2} + z_{power}) √(Σ_c d_c²) / n, where d_c is the difference of the two sides' sums over a cluster.  Where
    each item is a cluster of its own Σ d_c² / n is the share of items on which the sides disagree.  Normal
    approximation; 0 where they never disagree.
    """
    sides = [Answers.of(side, clusters) for side in (ours, base)]
    gaps = sides[0].sums[0] - sides[1].sums[0]
    return _quantiles(confidence, power) * math.sqrt(float(gaps @ gaps)) / float(sides[0].sizes.sum())


def _quantiles(confidence: float, power: float) -> float:
    """z_{1−α/2} + z_{power}: how many standard errors away a difference must be."""
    return float(norm.ppf((1 + confidence) / 2) + norm.ppf(power))
