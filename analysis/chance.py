"""What chance can do to the numbers of a table: intervals, comparisons with a row, and how they are worded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import norm

from analysis.significance import McNemar, difference_interval, holm, mcnemar, mean_interval, wilson_interval
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


def interval(*benchmarks: Seeds) -> tuple[float, float] | None:
    """Of the mean over seeds, and over benchmarks where there are several, which share the luck of a training seed.

    ``None`` where a score is no mean over items, or the records do not have them.
    """
    found = [own for seeds in benchmarks if (own := _verdicts(seeds)) is not None]
    if len(found) == len(benchmarks):
        return _mean_interval(tuple(found))
    seeds, *further = benchmarks
    if not further and all(each.correct is not None for each in seeds):
        low, high = wilson_interval(sum(each.correct or 0 for each in seeds), sum(each.n for each in seeds))
        return 100 * low, 100 * high
    return None


def compared(ours: Seeds, base: Seeds) -> Compared | None:
    """Paired by item; ``None`` where the records do not have the same items."""
    pair = _pair(ours, base)
    return None if pair is None else _difference(*pair)


def against_printed(columns: Sequence[Seeds], printed: float, ours: float) -> Compared | None:
    """Our score, a mean of the given benchmarks, minus a paper's.

    A paper prints no interval and no seeds.  Its number is taken as one draw of answers to the same number of problems
    that is right with the printed probability; what its training seed did is unknown and not in the interval.
    """
    bounds, share = interval(*columns), printed / 100
    if bounds is None or not 0 <= share <= 1:
        return None
    z, gap = float(norm.ppf(0.975)), ours - printed
    one_draw = sum(share * (1 - share) / (seeds[0].problems or seeds[0].n) for seeds in columns) / len(columns) ** 2
    error = math.hypot((bounds[1] - bounds[0]) / 2 / z, 100 * math.sqrt(one_draw))
    p_value = float(2 * norm.sf(abs(gap) / error)) if error else float(gap == 0)
    return Compared(gap, gap - z * error, gap + z * error, p_value)


def rate(results: Seeds) -> float | None:
    """Share of right answers of all together; ``None`` where one is no share."""
    correct = [result.correct for result in results if result.correct is not None]
    return sum(correct) / sum(result.n for result in results) if len(correct) == len(results) else None


def lines(rows: Sequence[Seeds], bases: Sequence[Seeds]) -> list[tuple[str, ...]]:
    """For each row its score and interval, and its difference from its base with interval and verdict.

    Args:
        rows: none for a row that was not run.
        bases: none for a row that is compared with nothing.
    """
    pairs = [*zip(rows, bases, strict=True)]
    found = [compared(ours, base) if ours and base else None for ours, base in pairs]
    words = verdicts(found, [*map(bool, rows)])
    texts: list[tuple[str, ...]] = []
    for (ours, base), against, word in zip(pairs, found, words, strict=True):
        if ours:
            gap = f"{score(ours) - score(base):+z.2f}" if base else EMPTY
            texts.append((f"{score(ours):.2f}", shown(interval(ours)), gap, shown_difference(against), word))
        else:
            texts.append((*(EMPTY,) * 4, NOT_RUN))
    return texts


def verdicts(found: Sequence[Compared | None], run: Sequence[bool]) -> list[str]:
    """A word for each comparison of a column, after Holm's correction over those that there are.

    Args:
        found: ``None`` where nothing can be said.
        run: whether both sides were run.
    """
    adjusted = holm([None if each is None else each.p_value for each in found])
    return [_word(*each) for each in zip(found, adjusted, run, strict=True)]


def _word(found: Compared | None, p_value: float | None, run: bool) -> str:
    if found is None or p_value is None:
        return EMPTY if run else NOT_RUN
    if p_value >= LEVEL:
        return WITHIN
    return DIFFERS if found.covers_seeds else ONE_SEED


def shown(bounds: tuple[float, float] | None) -> str:
    """An interval as tables print it."""
    return EMPTY if bounds is None else f"[{bounds[0]:z.2f}, {bounds[1]:z.2f}]"


def shown_difference(found: Compared | None) -> str:
    """The interval of a difference."""
    return EMPTY if found is None else f"[{found.low:+z.2f}, {found.high:+z.2f}]"


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


# A row stands in many tables, so what was computed of its verdicts is kept.


@lru_cache(maxsize=10_000)
def _mean_interval(benchmarks: tuple[tuple[Verdicts, ...], ...]) -> tuple[float, float]:
    found = mean_interval([(_matrix(verdicts), verdicts[0].problems) for verdicts in benchmarks])
    return 100 * found.low, 100 * found.high


@lru_cache(maxsize=10_000)
def _difference(ours: tuple[Verdicts, ...], base: tuple[Verdicts, ...]) -> Compared:
    found = difference_interval(_matrix(ours), _matrix(base), ours[0].problems)
    return Compared(100 * found.estimate, 100 * found.low, 100 * found.high, found.p_value, found.covers_seeds)


def _matrix(verdicts: Sequence[Verdicts]) -> np.ndarray:
    """``(S, n)``."""
    return np.stack([each.scores() for each in verdicts])


def _verdicts(seeds: Seeds) -> tuple[Verdicts, ...] | None:
    """``None`` where a record has none, they are over different items, or the score is not their mean."""
    found = [result.verdicts for result in seeds if result.verdicts is not None]
    if len(found) < len(seeds) or len({(each.dataset, len(each.values)) for each in found}) > 1:
        return None
    gaps = [100 * each.scores().mean() - result.score for each, result in zip(found, seeds, strict=True)]
    return None if max(map(abs, gaps)) > 0.01 else tuple(found)


def _pair(ours: Seeds, base: Seeds) -> tuple[tuple[Verdicts, ...], tuple[Verdicts, ...]] | None:
    """``None`` where both together have none."""
    both = _verdicts([*ours, *base])
    return None if both is None else (both[: len(ours)], both[len(ours) :])
