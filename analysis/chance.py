"""What chance can do to the numbers of a table: intervals, comparisons with a row, and how they are worded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from analysis.records import verdicts_of
from analysis.statistics import (
    Difference,
    difference_interval,
    difference_of_benchmarks_interval,
    holm,
    mean_interval,
    mean_of_benchmarks_interval,
    wilson_interval,
)
from analysis.table import EMPTY
from kawhi.records.schema import Benchmark

LEVEL = 0.05
WITHIN, DIFFERS, NOT_RUN = "within noise", "differs", "not run"
METHODS = (
    "Scores are means over seeds. Intervals are 95%: Wilson's for one seed, else a hierarchical bootstrap over "
    "training seeds and items; one seed cannot show the spread between training seeds. Differences are paired by item; "
    "a verdict is 'differs' where p < 0.05 after Holm's correction over the comparisons of its column. Detectable "
    "differences: 95% two-sided, 80% power."
)

Seeds = Sequence[Benchmark]
"""One benchmark of one row: a result per training seed."""


@dataclass(frozen=True)
class Compared:
    """A row against another one, in points; the verdict comes when all rows of a table are known."""

    difference: float
    low: float
    high: float
    p_value: float


def score(seeds: Seeds) -> float:
    """Mean over seeds, as the benchmark counts (percent, MME: points)."""
    return sum(each.score for each in seeds) / len(seeds)


def interval(seeds: Seeds) -> tuple[float, float] | None:
    """Of the mean over seeds; ``None`` where the score is no mean over items, or the records do not have them."""
    if (verdicts := _matrix(seeds)) is not None:
        found = mean_interval(*verdicts)
        return 100 * found.low, 100 * found.high
    if all(each.correct is not None for each in seeds):
        low, high = wilson_interval(sum(each.correct or 0 for each in seeds), sum(each.n for each in seeds))
        return 100 * low, 100 * high
    return None


def mean_interval_of(columns: Sequence[Seeds]) -> tuple[float, float] | None:
    """Of the unweighted mean of several benchmarks."""
    matrices = [_matrix(seeds) for seeds in columns]
    if any(each is None for each in matrices):
        return None
    found = mean_of_benchmarks_interval([each for each in matrices if each is not None])
    return 100 * found.low, 100 * found.high


def compared(ours: Seeds, base: Seeds) -> Compared | None:
    """Paired by item; ``None`` where the records do not have the same items."""
    pair = _pair(ours, base)
    return None if pair is None else _in_points(difference_interval(*pair))


def mean_compared(columns: Sequence[tuple[Seeds, Seeds]]) -> Compared | None:
    """The unweighted mean of several benchmarks against another row's."""
    pairs = [_pair(*each) for each in columns]
    if any(each is None for each in pairs):
        return None
    return _in_points(difference_of_benchmarks_interval([each for each in pairs if each is not None]))


def against_printed(columns: Sequence[Seeds], printed: float, ours: float) -> Compared | None:
    """Our score, a mean of the given benchmarks, minus a paper's.

    A paper prints no interval and no seeds.  Its number is taken as one draw of answers to the same number of problems
    that is right with the printed probability; what its training seed did is unknown and not in the interval.
    """
    variance = 0.0
    for seeds in columns:
        bounds = interval(seeds)
        rate = printed / 100
        if bounds is None or not 0 <= rate <= 1:
            return None
        theirs = 100 * math.sqrt(rate * (1 - rate) / (seeds[0].problems or seeds[0].n))
        variance += ((bounds[1] - bounds[0]) / 2 / norm.ppf(0.975)) ** 2 + theirs**2
    half = float(norm.ppf(0.975)) * math.sqrt(variance) / len(columns)
    gap = ours - printed
    p_value = float(2 * norm.sf(abs(gap) / (half / norm.ppf(0.975)))) if half else float(gap == 0)
    return Compared(gap, gap - half, gap + half, p_value)


def verdicts(found: Sequence[Compared | None], run: Sequence[bool]) -> list[str]:
    """A word for each comparison of a column, after Holm's correction over those that there are.

    Args:
        found: ``None`` where nothing can be said.
        run: whether both sides were run.
    """
    adjusted = holm([None if each is None else each.p_value for each in found])
    return [
        (EMPTY if was_run else NOT_RUN) if p is None else DIFFERS if p < LEVEL else WITHIN
        for p, was_run in zip(adjusted, run, strict=True)
    ]


def shown(bounds: tuple[float, float] | None) -> str:
    """An interval as tables print it."""
    return EMPTY if bounds is None else f"[{bounds[0]:z.2f}, {bounds[1]:z.2f}]"


def shown_difference(found: Compared | None) -> tuple[str, str]:
    """A difference and its interval."""
    if found is None:
        return EMPTY, EMPTY
    return f"{found.difference:+z.2f}", f"[{found.low:+z.2f}, {found.high:+z.2f}]"


def discordance(ours: Seeds, base: Seeds) -> float | None:
    """Variance of the paired difference of one item, from the first seed of each row."""
    pair = _pair(ours[:1], base[:1])
    return None if pair is None else float(np.var(pair[0][0] - pair[1][0]))


def _in_points(found: Difference) -> Compared:
    return Compared(100 * found.estimate, 100 * found.low, 100 * found.high, found.p_value)


def _matrix(seeds: Seeds) -> tuple[np.ndarray, list[int] | None] | None:
    """Verdicts ``(S, n)`` and the problem of each item; ``None`` where the score is not their mean."""
    found = verdicts_of(list(seeds))
    if found is None:
        return None
    matrix = np.stack([each.scores() for each in found])
    scores = np.array([each.score for each in seeds])
    if np.abs(100 * matrix.mean(axis=1) - scores).max() > 0.01:
        return None
    return matrix, found[0].problems


def _pair(ours: Seeds, base: Seeds) -> tuple[np.ndarray, np.ndarray, list[int] | None] | None:
    if verdicts_of([*ours, *base]) is None:
        return None
    left, right = _matrix(ours), _matrix(base)
    return None if left is None or right is None else (left[0], right[0], left[1])
