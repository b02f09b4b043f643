"""What chance can do to the numbers of a table: intervals, comparisons with a row, and how they are worded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import norm

from analysis.records import verdicts_of
from analysis.significance import (
    Difference,
    McNemar,
    difference_interval,
    difference_of_benchmarks_interval,
    holm,
    mcnemar,
    mean_interval,
    mean_of_benchmarks_interval,
    wilson_interval,
)
from analysis.table import EMPTY
from kawhi.records.schema import Benchmark, Verdicts

LEVEL = 0.05
WITHIN, DIFFERS, NOT_RUN = "within noise", "differs", "not run"
ONE_SEED = "differs, one seed"
"""The two runs differ; whether the two methods do, one training seed on each side cannot show."""
METHODS = (
    "Scores are means over seeds. Intervals are 95%: Wilson's for one seed, else a hierarchical bootstrap over "
    "training seeds and items; one seed cannot show the spread between training seeds. Differences are paired by item; "
    "a verdict is 'differs' where p < 0.05 after Holm's correction over the comparisons of its column; 'differs, one "
    "seed' says it of two runs, not of two methods. Detectable differences: 95% two-sided, 80% power."
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
    covers_seeds: bool = True


def score(seeds: Seeds) -> float:
    """Mean over seeds, as the benchmark counts (percent, MME: points)."""
    return sum(each.score for each in seeds) / len(seeds)


def interval(seeds: Seeds) -> tuple[float, float] | None:
    """Of the mean over seeds; ``None`` where the score is no mean over items, or the records do not have them."""
    if (verdicts := _verdicts(seeds)) is not None:
        return _mean_interval(verdicts)
    if all(each.correct is not None for each in seeds):
        low, high = wilson_interval(sum(each.correct or 0 for each in seeds), sum(each.n for each in seeds))
        return 100 * low, 100 * high
    return None


def mean_interval_of(columns: Sequence[Seeds]) -> tuple[float, float] | None:
    """Of the unweighted mean of several benchmarks."""
    found = [_verdicts(seeds) for seeds in columns]
    if any(each is None for each in found):
        return None
    interval = mean_of_benchmarks_interval([(_matrix(each), each[0].problems) for each in found if each is not None])
    return 100 * interval.low, 100 * interval.high


def compared(ours: Seeds, base: Seeds) -> Compared | None:
    """Paired by item; ``None`` where the records do not have the same items."""
    pair = _pair(ours, base)
    return None if pair is None else _difference(*pair)


def mean_compared(columns: Sequence[tuple[Seeds, Seeds]]) -> Compared | None:
    """The unweighted mean of several benchmarks against another row's."""
    pairs = [_pair(*each) for each in columns]
    if any(each is None for each in pairs):
        return None
    tables = [(_matrix(pair[0]), _matrix(pair[1]), pair[0][0].problems) for pair in pairs if pair is not None]
    return _in_points(difference_of_benchmarks_interval(tables))


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
    words = []
    for each, p, was_run in zip(found, adjusted, run, strict=True):
        if each is None or p is None:
            words.append(EMPTY if was_run else NOT_RUN)
        else:
            words.append(WITHIN if p >= LEVEL else DIFFERS if each.covers_seeds else ONE_SEED)
    return words


def shown(bounds: tuple[float, float] | None) -> str:
    """An interval as tables print it."""
    return EMPTY if bounds is None else f"[{bounds[0]:z.2f}, {bounds[1]:z.2f}]"


def shown_difference(found: Compared | None) -> tuple[str, str]:
    """A difference and its interval."""
    if found is None:
        return EMPTY, EMPTY
    return f"{found.difference:+z.2f}", f"[{found.low:+z.2f}, {found.high:+z.2f}]"


def discordance(ours: Seeds, base: Seeds) -> float | None:
    """Mean square of the difference of one item, from the first seed of each row: the share that differs."""
    pair = _pair(ours[:1], base[:1])
    return None if pair is None else float(np.square(pair[0][0].scores() - pair[1][0].scores()).mean())


def single_runs(ours: Benchmark, base: Benchmark) -> McNemar | None:
    """McNemar's exact test of two runs; ``None`` where they have no items in common, or items that are partly right."""
    pair = _pair([ours], [base])
    if pair is None or not all(isinstance(each[0].values, str) for each in pair):
        return None
    return mcnemar(pair[0][0].scores(), pair[1][0].scores())


def _in_points(found: Difference) -> Compared:
    return Compared(100 * found.estimate, 100 * found.low, 100 * found.high, found.p_value, found.covers_seeds)


# A row stands in many tables, so what was computed of its verdicts is kept.


@lru_cache(maxsize=10_000)
def _mean_interval(verdicts: tuple[Verdicts, ...]) -> tuple[float, float]:
    found = mean_interval(_matrix(verdicts), verdicts[0].problems)
    return 100 * found.low, 100 * found.high


@lru_cache(maxsize=10_000)
def _difference(ours: tuple[Verdicts, ...], base: tuple[Verdicts, ...]) -> Compared:
    return _in_points(difference_interval(_matrix(ours), _matrix(base), ours[0].problems))


def _matrix(verdicts: Sequence[Verdicts]) -> np.ndarray:
    """``(S, n)``."""
    return np.stack([each.scores() for each in verdicts])


def _verdicts(seeds: Seeds) -> tuple[Verdicts, ...] | None:
    """``None`` where a record has none, they are over different items, or the score is not their mean."""
    found = verdicts_of(list(seeds))
    if found is None:
        return None
    gaps = [100 * each.scores().mean() - result.score for each, result in zip(found, seeds, strict=True)]
    return None if max(map(abs, gaps)) > 0.01 else tuple(found)


def _pair(ours: Seeds, base: Seeds) -> tuple[tuple[Verdicts, ...], tuple[Verdicts, ...]] | None:
    if verdicts_of([*ours, *base]) is None:
        return None
    left, right = _verdicts(ours), _verdicts(base)
    return None if left is None or right is None else (left, right)
