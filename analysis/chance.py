"""What chance can do to the numbers of a table: intervals, comparisons with a row, and how they are worded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from analysis.significance import (
    McNemar,
    detectable_paired_difference,
    difference_interval,
    holm,
    mcnemar,
    mean_interval,
    wilson_interval,
)
from analysis.spread import Answers, Benchmark, Part, item_parts, seed_means, seed_part, spread
from analysis.table import EMPTY
from kawhi.records import schema
from kawhi.records.clusters import effective_size

LEVEL = 0.05
WITHIN, DIFFERS, NOT_RUN = "within noise", "differs", "not run"
ONE_SEED = "differs, one seed"
"""The two runs differ; whether the two methods do, one training seed on each side cannot show."""
METHODS = (
    "Scores are means over seeds. Intervals are 95%: Wilson's for one seed, else t intervals whose variance is that of "
    "training seeds and of items, where items of one picture or one problem count together; a training seed goes into "
    "all benchmarks of a mean, and one seed cannot show the spread between training seeds. Differences are paired by "
    "item; a verdict is 'differs' where p < 0.05 after Holm's correction over the comparisons of its column; 'differs, "
    "one seed' says it of two runs, not of two methods. Detectable differences: 95% two-sided, 80% power."
)

Seeds = Sequence[schema.Benchmark]
"""One benchmark of one row: a result per training seed."""


@dataclass(frozen=True)
class Line:
    """What a row has of the benchmarks of a column: the results of each, which share their training seeds.

    Attributes:
        trained: whether there is a training whose seed could have been another.
    """

    benchmarks: tuple[tuple[schema.Benchmark, ...], ...]
    trained: bool = True

    @classmethod
    def of(cls, *benchmarks: Seeds, trained: bool = True) -> Line | None:
        """``None`` where a benchmark was not run."""
        return cls(tuple(map(tuple, benchmarks)), trained) if benchmarks and all(benchmarks) else None

    @property
    def score(self) -> float:
        """Mean over benchmarks of the means over seeds, as they count (percent, MME: points)."""
        return sum(map(score, self.benchmarks)) / len(self.benchmarks)

    @property
    def covers_seeds(self) -> bool:
        """Whether an interval says what training again would give."""
        return not self.trained or len(self.benchmarks[0]) > 1


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


def interval(line: Line) -> tuple[float, float] | None:
    """Of the mean over seeds and benchmarks.

    ``None`` where a score is no mean over items, or the records do not have them.
    """
    if (found := _answers(line)) is not None:
        return _mean_interval(found)
    (seeds, *further) = line.benchmarks
    if not further and all(each.correct is not None for each in seeds):
        low, high = wilson_interval(sum(each.correct or 0 for each in seeds), sum(each.n for each in seeds))
        return 100 * low, 100 * high
    return None


def compared(ours: Line, base: Line) -> Compared | None:
    """Paired by item on each benchmark where both answered the same; ``None`` where the records do not have items."""
    sides = [_answers(ours), _answers(base)]
    if sides[0] is None or sides[1] is None:
        return None
    found = _difference(sides[0], sides[1])
    return replace(found, covers_seeds=ours.covers_seeds and base.covers_seeds)


def against_printed(ours: Line, printed: float, columns: Sequence[float]) -> Compared | None:
    """Our score minus a paper's.

    A paper prints no interval and no seeds.  Its number is taken as one training seed, as far from the next as ours are
    from each other, and as one draw of answers to as many independent problems, right with the printed probability.

    Args:
        printed: the paper's number.
        columns: what it prints of each benchmark of the line; where that is a share of right answers.
    """
    found = _answers(ours)
    if found is None or not all(0 <= each <= 100 for each in columns):
        return None
    benchmarks = _benchmarks(found)
    items, noise = item_parts(benchmarks)
    draw = sum(
        share / 100 * (1 - share / 100) / size(seeds[0]) for share, seeds in zip(columns, ours.benchmarks, strict=True)
    )
    items.append(Part(draw / len(columns) ** 2, math.inf))
    (means,) = seed_means(benchmarks)
    luck = [seed_part(means).times(1 + len(means))] if len(means) > 1 else []
    chance = spread(items, noise, luck)
    gap, half = ours.score - printed, 100 * chance.half_width(1 - LEVEL)
    return Compared(gap, gap - half, gap + half, chance.p_value(gap / 100), ours.covers_seeds)


def rate(results: Seeds) -> float | None:
    """Share of right answers of all together; ``None`` where one is no share."""
    correct = [result.correct for result in results if result.correct is not None]
    return sum(correct) / sum(result.n for result in results) if len(correct) == len(results) else None


def size(result: schema.Benchmark) -> float:
    """As how many independent items a benchmark counts."""
    if result.verdicts is None:
        return float(result.problems or result.n)
    return effective_size(result.verdicts.scores(), _clusters((result.verdicts,)))


def lines(rows: Sequence[Line | None], bases: Sequence[Line | None]) -> list[tuple[str, ...]]:
    """For each row its score and interval, and its difference from its base with interval and verdict.

    Args:
        rows: ``None`` for a row that was not run.
        bases: ``None`` for a row that is compared with nothing.
    """
    pairs = [*zip(rows, bases, strict=True)]
    found = [compared(ours, base) if ours and base else None for ours, base in pairs]
    words = verdicts(found, [*map(bool, rows)])
    texts: list[tuple[str, ...]] = []
    for (ours, base), against, word in zip(pairs, found, words, strict=True):
        if ours:
            gap = f"{ours.score - base.score:+z.2f}" if base else EMPTY
            texts.append((f"{ours.score:.2f}", shown(interval(ours)), gap, shown_difference(against), word))
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


def detectable(ours: schema.Benchmark, base: schema.Benchmark) -> float | None:
    """Points that two runs must differ by to be told apart, paired; ``None`` where they have no items in common."""
    if (pair := _run_pair(ours, base)) is None:
        return None
    (own,), (other,) = pair
    return 100 * detectable_paired_difference(own.scores(), other.scores(), _clusters(*pair))


def single_runs(ours: schema.Benchmark, base: schema.Benchmark) -> McNemar | None:
    """Which of two runs has more answers right that the other has not; by clusters where items belong together.

    ``None`` where they have no items in common, or items that are partly right.
    """
    pair = _run_pair(ours, base)
    if pair is None or not all(isinstance(side[0].values, str) for side in pair):
        return None
    (own,), (other,) = pair
    found, clusters = mcnemar(own.scores(), other.scores()), _clusters(*pair)
    if clusters is None or len(set(clusters)) == len(clusters):
        return found
    return replace(found, p_value=_difference((pair[0],), (pair[1],)).p_value)


def _run_pair(ours: schema.Benchmark, base: schema.Benchmark) -> tuple[Verdicts, Verdicts] | None:
    own, other = _verdicts([ours]), _verdicts([base])
    return None if own is None or other is None or not _same_items(own, other) else (own, other)


def clusters_note(results: Seeds) -> str:
    """How many clusters the items of each of these benchmarks make, where that is not one each."""
    labels = {result.title: _clusters((result.verdicts,)) for result in results if result.verdicts}
    told = ", ".join(f"{title} {len({*own})}" for title, own in labels.items() if own and len({*own}) < len(own))
    unknown = ", ".join(title for title, own in labels.items() if own is None)
    return f" Clusters of items: {told}." * bool(told) + (
        f" Records do not say which items of {unknown} belong together: each is on its own." * bool(unknown)
    )


# A row stands in many tables, so what was computed of its verdicts is kept.

Verdicts = tuple[schema.Verdicts, ...]
"""Of one benchmark, by seed."""


@lru_cache(maxsize=10_000)
def _mean_interval(line: tuple[Verdicts, ...]) -> tuple[float, float]:
    found = mean_interval(_benchmarks(line))
    return 100 * found.low, 100 * found.high


@lru_cache(maxsize=10_000)
def _difference(ours: tuple[Verdicts, ...], base: tuple[Verdicts, ...]) -> Compared:
    found = difference_interval([*map(_pair, ours, base)])
    return Compared(100 * found.estimate, 100 * found.low, 100 * found.high, found.p_value)


def _benchmarks(line: Sequence[Verdicts]) -> list[Benchmark]:
    return [Benchmark((Answers.of(_matrix(own), _clusters(own)),)) for own in line]


def _pair(ours: Verdicts, base: Verdicts) -> Benchmark:
    """Both sides of one benchmark, paired where they answered the same items."""
    if _same_items(ours, base):
        return Benchmark.of([_matrix(ours), _matrix(base)], _clusters(ours, base))
    return Benchmark(tuple(Answers.of(_matrix(own), _clusters(own)) for own in (ours, base)), paired=False)


def _matrix(verdicts: Verdicts) -> np.ndarray:
    """``(S, n)``."""
    return np.stack([each.scores() for each in verdicts])


def _clusters(*sides: Verdicts) -> tuple[int, ...] | None:
    """What the first record says that knows; of older ones the problems, ``None`` where each item is on its own."""
    every = [each for side in sides for each in side]
    known = [found for each in every if (found := each.clusters or each.problems) is not None]
    return known[0] if known else None


def _answers(line: Line) -> tuple[Verdicts, ...] | None:
    """``None`` where a benchmark has none."""
    found = [_verdicts(seeds) for seeds in line.benchmarks]
    known = [own for own in found if own is not None]
    return tuple(known) if len(known) == len(found) else None


def _verdicts(seeds: Seeds) -> Verdicts | None:
    """``None`` where a record has none, they are over different items, or the score is not their mean."""
    found = [result.verdicts for result in seeds if result.verdicts is not None]
    if len(found) < len(seeds) or len({(each.dataset, len(each.values)) for each in found}) > 1:
        return None
    gaps = [100 * each.scores().mean() - result.score for each, result in zip(found, seeds, strict=True)]
    return None if max(map(abs, gaps)) > 0.01 else tuple(found)


def _same_items(ours: Verdicts, base: Verdicts) -> bool:
    return (ours[0].dataset, len(ours[0].values)) == (base[0].dataset, len(base[0].values))
