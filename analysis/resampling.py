"""How far chance can move a score: the hierarchical bootstrap over items and training seeds.

A verdict of seed s on item i is modelled as y_si = μ + a_i + b_s + e_si: the item's difficulty, the luck of the
training run, the noise of one answer.  Items and seeds are crossed (all seeds answer the same items), so resampling
both at once counts the noise e three times (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007).  Here
items and seeds are resampled separately and put together as

    V = max(C₀ + Σ G, I / 4),   C₀ = max(0, I − Σ E),   sums over the sides that have at least two seeds

    I  variance of the score when items are resampled, seeds kept,      × C / (C − 1)   = (σ_a² + σ_e² / S) / n
    G  variance of the score when seeds are resampled, items kept,      × S / (S − 1)   = σ_b² / S + σ_e² / (n S)
    E  the noise that is in both, from the residuals of items × seeds                   = σ_e² / (n S)

for C clusters of items.  The factors undo the bootstrap's bias: resampling 3 seeds shows only 2/3 of their variance.
For K benchmarks I and E are added and divided by K², and G comes from the seeds' mean scores, so that one seed goes
into all benchmarks.  V has Satterthwaite's degrees of freedom

    ν = (C₀ + κ Σ G)² / (Σ I_k² / (C_k − 1) + Σ (κ G)² / (S − 1))

with κ = 1 for two such sides and κ = 1 + 3 / (S − 1) for one.  κ is our choice: without it three seeds cover 92 to 94 %
instead of 95, since a G that is too small by chance also gives too many degrees of freedom.  I / 4 is our choice too:
it keeps seeds that agree by luck from giving an interval without width, and is small enough to matter rarely.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

RESAMPLES = 2000
SEED = 0


@lru_cache(maxsize=32)
def draw_counts(n: int, resamples: int = RESAMPLES, seed: int = SEED) -> NDArray[np.float32]:
    """How often each of ``n`` things is drawn in each resample of size ``n``: (resamples, n), rows sum to ``n``.

    The same matrix serves every comparison over ``n`` things, so a run makes it once.
    """
    rng = np.random.default_rng((seed, n))
    counts = np.empty((resamples, n), dtype=np.float32)
    for row in counts:  # one row at a time: the indices of all rows would need 16 bytes per count
        row[:] = np.bincount(rng.integers(n, size=n), minlength=n)
    counts.flags.writeable = False
    return counts


@dataclass(frozen=True)
class Benchmark:
    """One benchmark's verdicts, added up within clusters: ``sizes`` (C,), each side's ``sums`` (S, C).

    A side is a method.  Its sign in the estimate is + for the first and − for the second.
    """

    sizes: NDArray[np.float64]
    sums: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(cls, sides: Sequence[ArrayLike], clusters: ArrayLike | None = None) -> Benchmark:
        """From each side's verdicts (S, n) or (n,), over the same items; S may differ between sides.

        Raises ValueError for a shape that does not fit, and for verdicts that are not numbers in [0, 1].
        """
        verdicts = [np.atleast_2d(np.asarray(side, dtype=np.float64)) for side in sides]
        for side in verdicts:
            _check(side, verdicts[0])
        n = verdicts[0].shape[1]
        if clusters is None:
            return cls(np.ones(n), tuple(verdicts))
        labels = np.asarray(clusters)
        if labels.shape != (n,):
            raise ValueError(f"clusters must hold one label per item: {n} items, got shape {labels.shape}")
        order = np.argsort(labels, kind="stable")
        starts = np.unique(labels[order], return_index=True)[1]
        sizes = np.diff(np.r_[starts, n]).astype(np.float64)
        return cls(sizes, tuple(np.add.reduceat(side[:, order], starts, axis=1) for side in verdicts))

    @cached_property
    def scores(self) -> list[NDArray[np.float64]]:
        """Each side's score per seed, (S,)."""
        return [sums.sum(axis=1) / self.sizes.sum() for sums in self.sums]

    @cached_property
    def residuals(self) -> list[NDArray[np.float64]]:
        """Each side's sums less what the seed's own score predicts for a cluster of that size, (S, C)."""
        return [sums - np.outer(scores, self.sizes) for sums, scores in zip(self.sums, self.scores, strict=True)]

    def item_variance(self, resamples: int, seed: int) -> float:
        """I: variance of the score (or difference) over resampled clusters; infinite for a single cluster."""
        count = len(self.sizes)
        if count == 1:
            return math.inf
        signs = (1, -1)
        residual = sum(sign * side.mean(axis=0) for sign, side in zip(signs, self.residuals, strict=False))
        counts = draw_counts(count, resamples, seed)
        drawn = _resampled_sums(counts, _without_rounding(residual))
        equal = self.sizes.min() == self.sizes.max()  # then every resample has as many items as the benchmark
        items = self.sizes.sum() if equal else _resampled_sums(counts, self.sizes)
        return float(np.var(drawn / items) * count / (count - 1))

    def answer_noise(self) -> list[float]:
        """E of each side: what the noise of single answers adds to the variance of its score; 0 for one seed."""
        noise, count = [], len(self.sizes)
        for side in self.residuals:
            seeds = len(side)
            if seeds == 1 or count == 1:
                noise.append(0.0)
                continue
            square = float(np.square(side - side.mean(axis=0)).sum()) / self.sizes.mean() ** 2
            noise.append(square / ((count - 1) * (seeds - 1)) / (count * seeds))
        return noise


@dataclass(frozen=True)
class Spread:
    """The standard error √V of an estimate and its degrees of freedom ν.

    An infinite error means that the data cannot show it: there is a single item.
    """

    error: float
    df: float
    covers_seeds: bool

    def half_width(self, confidence: float) -> float:
        """Half the width of the symmetric interval, t_ν · √V."""
        return math.inf if math.isinf(self.error) else float(stdtrit(self.df, (1 + confidence) / 2) * self.error)

    def p_value(self, estimate: float) -> float:
        """Two-sided p of "the true value is 0": below α exactly when ``half_width(1 − α)`` is below ``estimate``."""
        if estimate == 0 or math.isinf(self.error):
            return 1.0
        return float(2 * stdtr(self.df, -abs(estimate) / self.error)) if self.error > 0 else 0.0


def _check(side: NDArray[np.float64], first: NDArray[np.float64]) -> None:
    """Raises ValueError for a side that is no table of verdicts over the items of the first."""
    if side.ndim != 2 or side.size == 0:
        raise ValueError(f"verdicts must be seeds × items with at least one of each, got shape {side.shape}")
    if not (np.isfinite(side).all() and side.min() >= 0 and side.max() <= 1):
        raise ValueError("verdicts must be numbers in [0, 1]; an item without a verdict has no place here")
    if side.shape[1] != first.shape[1]:
        raise ValueError(f"paired verdicts must be over the same items, got {first.shape[1]} and {side.shape[1]} items")


def estimate_and_spread(benchmarks: Sequence[Benchmark], resamples: int, seed: int) -> tuple[float, Spread]:
    """Unweighted mean over benchmarks of the score, or of the first side's less the second's, and its spread.

    Raises ValueError when there is no benchmark or a side has not the same seeds on all of them.
    """
    if not benchmarks:
        raise ValueError("a mean needs at least one benchmark")
    for sums in zip(*(benchmark.sums for benchmark in benchmarks), strict=True):
        if len({len(side) for side in sums}) > 1:
            raise ValueError(f"a side needs the same seeds on all benchmarks, got {[len(side) for side in sums]} seeds")
    sides = [np.mean(scores, axis=0) for scores in zip(*(benchmark.scores for benchmark in benchmarks), strict=True)]
    estimate = float(sides[0].mean() - (sides[1].mean() if len(sides) == 2 else 0))
    return estimate, _spread(benchmarks, sides, resamples, seed)


def _spread(benchmarks: Sequence[Benchmark], sides: list[NDArray[np.float64]], resamples: int, seed: int) -> Spread:
    """From each side's mean scores per seed, and the benchmarks."""
    parts = np.array([benchmark.item_variance(resamples, seed) for benchmark in benchmarks]) / len(benchmarks) ** 2
    covers_seeds = all(len(side) > 1 for side in sides)
    if np.isinf(parts).any():
        return Spread(math.inf, 1, covers_seeds)
    noise = np.array([benchmark.answer_noise() for benchmark in benchmarks]).sum(axis=0) / len(benchmarks) ** 2
    items = float(parts.sum())
    common = max(0.0, items - float(noise.sum()))
    replicated = [side for side in sides if len(side) > 1]
    luck = [_seed_variance(side, resamples, seed) for side in replicated]
    kappa = 1 + 3 / (len(replicated[0]) - 1) if len(replicated) == 1 else 1
    doubt = sum(part**2 / (len(benchmark.sizes) - 1) for part, benchmark in zip(parts, benchmarks, strict=True))
    doubt += sum((kappa * part) ** 2 / (len(side) - 1) for part, side in zip(luck, replicated, strict=True))
    df = max(1.0, (common + kappa * sum(luck)) ** 2 / doubt) if doubt > 0 else 1.0
    return Spread(math.sqrt(max(common + sum(luck), items / 4)), float(df), covers_seeds)


def _seed_variance(scores: NDArray[np.float64], resamples: int, seed: int) -> float:
    """G: variance of the mean of ``scores`` (S,) over resampled seeds, without the bootstrap's bias."""
    count = len(scores)
    means = _resampled_sums(draw_counts(count, resamples, seed), _without_rounding(scores - scores.mean())) / count
    return float(np.var(means) * count / (count - 1))


def _resampled_sums(counts: NDArray[np.float32], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the values (n,) in each resample, (resamples,).

    einsum, not @: the product is bound by memory, and BLAS's threads make it ten times slower on a busy machine.
    """
    return np.einsum("bn,n->b", counts, values.astype(np.float32)).astype(np.float64)


def _without_rounding(deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Deviations that only rounding made as 0, so that what does not vary is seen not to vary."""
    return np.where(np.abs(deviations) < 1e-12, 0, deviations)
