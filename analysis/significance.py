"""What a table says about chance: intervals of scores and differences, tests, and what a design can show.

Scores and differences are fractions, not per cent.  Verdicts are (S, n) or (n,): training seeds × items of one
benchmark, values in [0, 1], all rows over the same items in the same order.  Clusters are (n,) labels of items that
belong to one problem and are resampled together.  The standard errors come from ``analysis.resampling``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import binomtest, norm

from analysis.resampling import RESAMPLES, SEED, Benchmark, estimate_and_spread


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    ``covers_seeds`` is False when a side has one training seed: the interval then speaks of these trained models on
    other items, not of training again.
    """

    estimate: float
    low: float
    high: float
    covers_seeds: bool


@dataclass(frozen=True)
class Difference(Interval):
    """A difference with its interval and the two-sided p of no difference; p < 1 − confidence iff 0 is outside."""

    p_value: float


@dataclass(frozen=True)
class McNemar:
    """Exact McNemar's test: how many items only one side has right, and the two-sided p."""

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
    z, p = float(ndtri((1 + confidence) / 2)), correct / n
    scale = 2 * (n + z**2)
    centre, reach = (2 * n * p + z**2) / scale, z / scale * math.sqrt(4 * n * p * (1 - p) + z**2)
    return 0.0 if correct == 0 else centre - reach, 1.0 if correct == n else centre + reach


def mean_interval(
    benchmarks: Sequence[tuple[ArrayLike, ArrayLike | None]],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """Interval of the unweighted mean score of benchmarks, each (verdicts, clusters), with the same seeds on all.

    One benchmark with one seed of right-or-wrong verdicts and no clusters gets Wilson's interval.  Else it is all
    values π that are near enough, |p − π| ≤ h √(π (1 − π) / (p (1 − p))), where h = t_ν · standard error of the
    bootstrap.  This is Wilson's interval with the sample size that gives this error, p (1 − p) / error²; it stays in
    [0, 1].  When nothing varies (all right or all wrong) the sample size is K² / Σ 1 / C_k for K benchmarks of C_k
    clusters.  A single item gives [0, 1] unless Wilson's own interval applies.

    Raises ValueError for verdicts or clusters that do not fit, and for seeds that differ between benchmarks.
    """
    tables = [Benchmark.of([verdicts], clusters) for verdicts, clusters in benchmarks]
    if len(tables) == 1 and benchmarks[0][1] is None and len(tables[0].sums[0]) == 1:
        verdicts = tables[0].sums[0]
        if np.isin(verdicts, (0, 1)).all():
            low, high = wilson_interval(int(verdicts.sum()), verdicts.size, confidence)
            return Interval(float(verdicts.mean()), low, high, covers_seeds=False)
    p, spread = estimate_and_spread(tables, resamples, seed)
    half = spread.half_width(confidence)
    if math.isinf(half):
        return Interval(p, 0.0, 1.0, spread.covers_seeds)
    if half > 0:
        ratio = half**2 / (p * (1 - p))
    else:
        ratio = norm.ppf((1 + confidence) / 2) ** 2 * sum(1 / len(t.sizes) for t in tables) / len(tables) ** 2
    centre = (p + ratio / 2) / (1 + ratio)
    reach = math.sqrt(ratio * p * (1 - p) + ratio**2 / 4) / (1 + ratio)
    # The ends contain p exactly; only rounding could say otherwise.
    low, high = max(0.0, min(p, centre - reach)), min(1.0, max(p, centre + reach))
    return Interval(p, float(low), float(high), spread.covers_seeds)


def difference_interval(
    ours: ArrayLike,
    base: ArrayLike,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Difference:
    """Interval and p of the score of ``ours`` (S_a, n) less that of ``base`` (S_b, n), items paired, seeds not.

    d ± t_ν · standard error of the bootstrap, cut to [−1, 1]; with one seed on each side this is the paired bootstrap
    over items.  When nothing varies (the same difference on every item) that would have no width; then there are two
    made-up items, one won by each side (Bonett and Price, "Adjusted Wald confidence interval for a difference of
    binomial proportions based on paired data", 2012).  A single item shows nothing: [−1, 1] and p = 1.

    Raises ValueError for verdicts or clusters that do not fit.
    """
    table = Benchmark.of([ours, base], clusters)
    d, spread = estimate_and_spread([table], resamples, seed)
    half, p_value, centre = spread.half_width(confidence), spread.p_value(d), d
    if half == 0:
        n = len(table.sizes)
        centre = n * d / (n + 2)
        error = math.sqrt(((n * d**2 + 2) / (n + 2) - centre**2) / (n + 2))
        half, p_value = norm.ppf((1 + confidence) / 2) * error, 2 * norm.sf(abs(centre) / error)
    low, high = max(-1.0, min(d, centre - half)), min(1.0, max(d, centre + half))
    return Difference(d, float(low), float(high), spread.covers_seeds, float(p_value))


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


def detectable_difference(rate: float, n: int, confidence: float = 0.95, power: float = 0.80) -> float:
    """Smallest difference of two proportions that a two-sided, unpaired test finds with the given power.

    Normal approximation, ``n`` answers in each cell and both variances taken at ``rate``.  A smaller difference in a
    table is not evidence.
    """
    if not 0 < rate < 1:
        raise ValueError(f"the normal approximation needs a rate strictly between 0 and 1, got {rate}")
    return _quantiles(confidence, power) * math.sqrt(2 * rate * (1 - rate) / n)


def detectable_paired_difference(discordance: float, n: int, confidence: float = 0.95, power: float = 0.80) -> float:
    """Smallest difference that a two-sided test of ``n`` paired items finds with the given power.

    (z_{1−α/2} + z_{power}) √(discordance / n), where ``discordance`` is the share of items on which the two sides
    disagree.  Normal approximation at one seed per side.  Raises ValueError for a discordance outside (0, 1].
    """
    if not 0 < discordance <= 1:
        raise ValueError(f"the discordance is a share of items above 0, got {discordance}")
    return _quantiles(confidence, power) * math.sqrt(discordance / n)


def _quantiles(confidence: float, power: float) -> float:
    """z_{1−α/2} + z_{power}: how many standard errors away a difference must be."""
    return float(norm.ppf((1 + confidence) / 2) + norm.ppf(power))
