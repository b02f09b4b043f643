"""How far chance can move a score: the variance over clusters of items and over training seeds.

A verdict of seed s on item i is modelled as y_si = μ + a_i + b_s + e_si: the item's difficulty, the luck of the
training run, the noise of one answer.  Items that share a picture or a problem are one cluster, of which only the sum
counts.  Items and seeds are crossed (all seeds answer the same items), so counting both at once counts e twice.  Hence

    V = max(C₀ + Σ G, I / 4),   C₀ = max(0, I − Σ E),   sums over the sides that have at least two seeds

    I  of the clusters, seeds kept:  Σ_c r_c² / n² · C / (C − 1)            = (σ_a² + σ_e² / S) / n
    G  of the seeds, items kept:     variance of the seeds' scores / S       = σ_b² / S + σ_e² / (n S)
    E  the noise that is in both, from the residuals of clusters × seeds    = σ_e² / (n S)

for C clusters of n items, where r_c is a cluster's sum less what the score predicts for a cluster of its size: I is the
cluster-robust ("sandwich") variance of a mean.  For K benchmarks I and E are added and divided by K², and G comes from
the seeds' mean scores, so that one seed goes into all benchmarks.  A difference of two sides has one I where both
answered the same items, and one for each side where they did not.  V has the degrees of freedom

    ν = (C₀ + Σ κ G)² / (Σ I_k² / (C_k + 1) + Σ (κ G)² / (S + 1)) − 2

which are Welch's of 1947 ("The generalization of Student's problem when several different population variances are
involved", Biometrika), with κ = 1 + k / (S − 1), k = 5 for two sides with several seeds and 6 for one.  κ is our
choice: a G that is too small by chance also gives too many degrees of freedom, and without κ three seeds cover 91 %
where I is a quarter of G.  I / 4 is our choice too: it keeps seeds that agree by luck from giving an interval without
width, and is small enough to matter rarely.  ``python -m analysis.coverage`` shows what the intervals cover.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """One side's verdicts on one benchmark, added up within clusters: ``sizes`` (C,) and ``sums`` (S, C)."""

    sizes: Floats
    sums: Floats

    @classmethod
    def of(cls, verdicts: ArrayLike, clusters: ArrayLike | None = None) -> Answers:
        """From verdicts (S, n) or (n,), seeds × items, and a label (n,) for each item.

        Raises ValueError for a shape that does not fit, and for verdicts that are not numbers in [0, 1].
        """
        values = np.atleast_2d(np.asarray(verdicts, dtype=np.float64))
        if values.ndim != 2 or values.size == 0:
            raise ValueError(f"verdicts must be seeds × items with at least one of each, got shape {values.shape}")
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise ValueError("verdicts must be numbers in [0, 1]; an item without a verdict has no place here")
        if clusters is None:
            return cls(np.ones(values.shape[1]), values)
        labels = np.asarray(clusters)
        if labels.shape != values.shape[1:]:
            raise ValueError(
                f"clusters must hold one label per item: {values.shape[1]} items, got shape {labels.shape}"
            )
        order = np.argsort(labels, kind="stable")
        starts = np.unique(labels[order], return_index=True)[1]
        sizes = np.diff(np.r_[starts, len(labels)]).astype(np.float64)
        return cls(sizes, np.add.reduceat(values[:, order], starts, axis=1))

    @cached_property
    def scores(self) -> Floats:
        """Of each seed, (S,)."""
        return self.sums.sum(axis=1) / self.sizes.sum()

    @cached_property
    def residuals(self) -> Floats:
        """Each seed's sums less what its own score predicts for a cluster of that size, over the items, (S, C)."""
        return (self.sums - np.outer(self.scores, self.sizes)) / self.sizes.sum()

    @cached_property
    def noise(self) -> float:
        """E: what the noise of single answers adds to the variance of the score; 0 for one seed."""
        seeds, count = self.sums.shape
        if seeds == 1 or count == 1:
            return 0.0
        square = float(np.square(self.residuals - self.residuals.mean(axis=0)).sum())
        return square * count / ((count - 1) * (seeds - 1) * seeds)


@dataclass(frozen=True)
class Benchmark:
    """The answers of each side to one benchmark, and whether both answered the same items, in the same order.

    A side is a method.  Its sign in the estimate is + for the first and − for the second.
    """

    sides: tuple[Answers, ...]
    paired: bool = True

    @classmethod
    def of(cls, sides: Sequence[ArrayLike], clusters: ArrayLike | None = None) -> Benchmark:
        """From each side's verdicts over the same items; the number of seeds may differ between sides.

        Raises ValueError as :meth:`Answers.of`, and for another number of items.
        """
        items = [np.atleast_2d(np.asarray(side)).shape[-1] for side in sides]
        if len(set(items)) > 1:
            raise ValueError(f"paired verdicts must be over the same items, got {items[0]} and {items[1]} items")
        return cls(tuple(Answers.of(side, clusters) for side in sides))

    @cached_property
    def parts(self) -> list[Part]:
        """I: of the difference where it is paired, else of each side."""
        own = [side.residuals.mean(axis=0) for side in self.sides]
        return [*map(_item_part, [own[0] - own[1]] if self.paired and len(own) == 2 else own)]


@dataclass(frozen=True)
class Part:
    """An estimated variance and its degrees of freedom."""

    variance: float
    df: float

    def times(self, factor: float) -> Part:
        return Part(self.variance * factor, self.df)


@dataclass(frozen=True)
class Spread:
    """The standard error √V of an estimate and its degrees of freedom ν.

    An infinite error means that the data cannot show it: there is a single item.
    """

    error: float
    df: float

    def half_width(self, confidence: float) -> float:
        """Half the width of the symmetric interval, t_ν · √V."""
        return math.inf if math.isinf(self.error) else float(stdtrit(self.df, (1 + confidence) / 2) * self.error)

    def p_value(self, estimate: float) -> float:
        """Two-sided p of "the true value is 0": below α exactly when ``half_width(1 − α)`` is below ``estimate``."""
        if estimate == 0 or math.isinf(self.error):
            return 1.0
        return float(2 * stdtr(self.df, -abs(estimate) / self.error)) if self.error > 0 else 0.0


def estimate_and_spread(benchmarks: Sequence[Benchmark]) -> tuple[float, Spread]:
    """Unweighted mean over benchmarks of the score, or of the first side's less the second's, and its spread.

    Raises ValueError when there is no benchmark or a side has not the same seeds on all of them.
    """
    sides = seed_means(benchmarks)
    estimate = float(sides[0].mean() - (sides[1].mean() if len(sides) == 2 else 0))
    luck = [seed_part(side) for side in sides if len(side) > 1]
    return estimate, spread(*item_parts(benchmarks), luck)


def seed_means(benchmarks: Sequence[Benchmark]) -> list[Floats]:
    """Of each side its mean score over benchmarks by seed, (S,).

    Raises ValueError as :func:`estimate_and_spread`.
    """
    if not benchmarks:
        raise ValueError("a mean needs at least one benchmark")
    found = []
    for side in zip(*(benchmark.sides for benchmark in benchmarks), strict=True):
        counts = [len(answers.scores) for answers in side]
        if len(set(counts)) > 1:
            raise ValueError(f"a side needs the same seeds on all benchmarks, got {counts} seeds")
        found.append(np.mean([answers.scores for answers in side], axis=0))
    return found


def item_parts(benchmarks: Sequence[Benchmark]) -> tuple[list[Part], float]:
    """I of each benchmark and Σ E, of the mean over benchmarks."""
    share = 1 / len(benchmarks) ** 2
    noise = sum(side.noise for benchmark in benchmarks for side in benchmark.sides)
    return [part.times(share) for benchmark in benchmarks for part in benchmark.parts], noise * share


def seed_part(scores: Floats) -> Part:
    """G: of the mean of the seeds' scores (S,)."""
    deviations = _without_rounding(scores - scores.mean())
    return Part(float(deviations @ deviations) / (len(scores) - 1) / len(scores), len(scores) - 1)


def spread(items: Sequence[Part], noise: float, luck: Sequence[Part]) -> Spread:
    """V and ν of an estimate.

    Args:
        items: I, in parts.
        noise: Σ E.
        luck: G of each side with several seeds.
    """
    variance = sum(part.variance for part in items)
    if math.isinf(variance):
        return Spread(math.inf, 1)
    common = max(0.0, variance - noise)
    weighted = [part.times(1 + (7 - len(luck)) / part.df) for part in luck]
    doubt = sum(part.variance**2 / (part.df + 2) for part in [*items, *weighted])
    df = (common + sum(part.variance for part in weighted)) ** 2 / doubt - 2 if doubt > 0 else 1.0
    total = max(common + sum(part.variance for part in luck), variance / 4)
    return Spread(math.sqrt(total), max(1.0, df))


def _item_part(residuals: Floats) -> Part:
    """I from what each cluster adds to a score, or to a difference, (C,); infinite for a single cluster."""
    count = len(residuals)
    if count == 1:
        return Part(math.inf, 1)
    residuals = _without_rounding(residuals)
    return Part(float(residuals @ residuals) * count / (count - 1), count - 1)


def _without_rounding(deviations: Floats) -> Floats:
    """Deviations that only rounding made as 0, so that what does not vary is seen not to vary."""
    return np.where(np.abs(deviations) < 1e-14, 0, deviations)
