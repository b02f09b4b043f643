"""How often the tables' intervals hold the true value: simulated tables, through the functions that make the real ones.

python -m analysis.coverage                  # the tables of docs/results.md, in Markdown
python -m analysis.coverage --tables 200     # a look

A benchmark has the cluster sizes of the real one.  An answer of method m with training seed s is right where a uniform
variate is below p_m + b_s, with b_s ~ N(0, sd) shared by all benchmarks of that training.  The variate is the cluster's
for an item with probability √ρ, else the item's own, so that two answers of a cluster correlate by exactly ρ; and it is
one for all cells, one for all seeds of a method, or one of the cell, with the probabilities of SHARED.  So the methods
like different items, and a model that answers twice does not always answer alike.  Everything is drawn anew for every
table.  With one seed the truth is that of the trained model as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.significance import Interval, difference_interval, mean_interval
from analysis.spread import Answers, Benchmark

Sizes = NDArray[np.int64]
SIZES: dict[str, Sizes] = {
    "MathVerse": np.repeat(5, 788),
    "MathVision": np.repeat(1, 304),
    "WeMath": np.repeat([3, 4], [360, 165]),
    "MathVista": np.repeat(3, 1000),
    "HallusionBench": np.r_[np.tile([2, 4, 6, 8], 47), 5, 6],
    "CharXiv Desc": np.repeat(4, 1000),
    "CharXiv Rea": np.repeat(1, 1000),
    "ChartQA": np.repeat(1, 2500),
    "ChartQAPro": np.repeat(1, 1948),
    "ChartMimic": np.repeat(1, 600),
    "tiny world": np.repeat(1, 1000),
}
"""Items of each cluster; HallusionBench's sets are assumed: 951 questions in 190 sets."""
RATES = {"MathVerse": 0.46, "MathVision": 0.28, "WeMath": 0.6, "MathVista": 0.68, "HallusionBench": 0.65}
"""Of right answers, 0.5 for the others; a mean is of the first K: two are table 3's, four table 1's, five ToR's."""
SEEDS, DEVIATIONS, CORRELATIONS = (1, 3, 5, 10), (0.0, 0.01, 0.02, 0.04), (0.0, 0.3, 0.7)
EFFECT = 0.01
"""What the method adds to its base: the paper's +0.8 to +1.5 points."""
SHARED = (0.5, 0.2)
"""Shares of variates that all cells have in common, and all seeds of a method."""
SCORE, DIFFERENCE = "Mean score", "Difference of two methods"
UNTRAINED = "Difference from the untrained model, which has no seeds"


@dataclass
class Found:
    """Of many tables: how often the truth was in the interval, and half the width of it, in points."""

    held: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)

    def add(self, interval: Interval, truth: float) -> None:
        self.held.append(bool(interval.low <= truth <= interval.high))
        self.widths.append(50 * (interval.high - interval.low))

    @property
    def coverage(self) -> float:
        return 100 * float(np.mean(self.held))

    @property
    def half_width(self) -> float:
        return float(np.mean(self.widths))


@dataclass(frozen=True)
class Scenario:
    """A quantity of a table: of so many seeds and benchmarks, with this spread between seeds and within clusters."""

    quantity: str
    seeds: int
    benchmarks: int
    deviation: float
    correlation: float


def verdicts(rng: np.random.Generator, sizes: Sizes, rates: NDArray[np.float64], rho: float) -> NDArray[np.uint8]:
    """Right or wrong, (methods, seeds, items), where ``rates`` is (methods, seeds)."""
    own = _variates(rng, rates.shape, int(sizes.sum()))
    if rho > 0:
        follows = rng.random(int(sizes.sum())) < rho**0.5
        common = np.repeat(_variates(rng, rates.shape, len(sizes)), sizes, axis=-1)
        own = np.where(follows, common, own)
    return (own < rates[..., None].astype(np.float32)).view(np.uint8)


def answers(sizes: Sizes, right: NDArray[np.uint8]) -> Answers:
    """Of one side, (seeds, items), added up within clusters."""
    starts = np.r_[0, np.cumsum(sizes)[:-1]]
    return Answers(sizes.astype(np.float64), np.add.reduceat(right, starts, axis=-1).astype(np.float64))


def _variates(rng: np.random.Generator, cells: tuple[int, ...], n: int) -> NDArray[np.float32]:
    """Uniform on [0, 1], (methods, seeds, n): some are one for all cells, some one for a method."""
    every, method = SHARED
    drawn = rng.random((*cells, n), dtype=np.float32)
    ours = np.where(drawn < every, rng.random(n, dtype=np.float32), rng.random((cells[0], 1, n), dtype=np.float32))
    return np.where(drawn < every + method, ours, (drawn - every - method) / (1 - every - method))


def of_means(
    tables: int, seed: int, deviation: float, rho: float, counts: Sequence[int] = SEEDS
) -> dict[Scenario, Found]:
    """Each quantity with each number of seeds and of benchmarks; those with fewer are parts of the largest table."""
    rng = np.random.default_rng((seed, round(1000 * deviation), round(1000 * rho)))
    found: dict[Scenario, Found] = defaultdict(Found)
    for _ in tqdm(range(tables), desc=f"seeds' sd {100 * deviation:g}, correlation {rho:g}", mininterval=10):
        luck = rng.normal(0, deviation, (2, max(counts)))
        sides: list[list[Answers]] = [[], []]
        for name, rate in RATES.items():
            right = verdicts(rng, SIZES[name], np.array([[rate + EFFECT], [rate]]) + luck, rho)
            for side, own in zip(sides, right, strict=True):
                side.append(answers(SIZES[name], own))
        for count in counts:
            for (quantity, k), interval, truth in _intervals(sides, luck, count):
                found[Scenario(quantity, count, k, deviation, rho)].add(interval, truth)
    return found


def _intervals(
    sides: Sequence[Sequence[Answers]], luck: NDArray[np.float64], count: int
) -> Iterator[tuple[tuple[str, int], Interval, float]]:
    """Each quantity with this many seeds, of one benchmark to all, with its truth."""
    ours, base = ([_first(each, count) for each in side] for side in sides)
    alone = [Benchmark((own,)) for own in ours]
    pairs = [Benchmark(both) for both in zip(ours, base, strict=True)]
    untrained = [Benchmark((own, _first(other, 1))) for own, other in zip(ours, base, strict=True)]
    rate = np.cumsum([*RATES.values()]) / np.arange(1, len(RATES) + 1)
    lucky, luckless = luck[:, 0] if count == 1 else np.zeros(2), luck[1, 0]
    for k in range(1, len(RATES) + 1):
        yield (SCORE, k), mean_interval(alone[:k]), float(rate[k - 1]) + EFFECT + lucky[0]
        yield (DIFFERENCE, k), difference_interval(pairs[:k]), EFFECT + lucky[0] - lucky[1]
        if count > 1:
            yield (UNTRAINED, k), difference_interval(untrained[:k]), EFFECT - luckless


def _first(side: Answers, seeds: int) -> Answers:
    return Answers(side.sizes, side.sums[:seeds])


def of_benchmarks(tables: int, seed: int, rho: float) -> dict[str, list[Found]]:
    """Score and difference of each benchmark with one seed, with its clusters, and as if each item were on its own."""
    rng = np.random.default_rng((seed, round(1000 * rho)))
    found: dict[str, list[Found]] = {name: [Found() for _ in range(4)] for name in SIZES}
    for _ in tqdm(range(tables), desc=f"benchmarks, correlation {rho:g}", mininterval=10):
        for name, sizes in SIZES.items():
            rate = RATES.get(name, 0.5)
            right = verdicts(rng, sizes, np.array([[rate + EFFECT], [rate]]), rho)
            for place, clusters in ((0, sizes), (2, np.ones_like(sizes, shape=int(sizes.sum())))):
                ours, base = (answers(clusters, own) for own in right)
                found[name][place].add(mean_interval([Benchmark((ours,))]), rate + EFFECT)
                found[name][place + 1].add(difference_interval([Benchmark((ours, base))]), EFFECT)
    return found


def means_table(found: Mapping[Scenario, Found], quantity: str) -> list[str]:
    """Markdown: a line for each number of seeds and benchmarks, a column for each spread between seeds."""
    heads = [f"sd {100 * deviation:g}" for deviation in DEVIATIONS]
    lines = [_line(["Seeds", "Benchmarks", *heads]), _line(["---:"] * (2 + len(heads)))]
    for seeds in SEEDS:
        for k in range(1, len(RATES) + 1):
            own = [[found.get(Scenario(quantity, seeds, k, sd, rho)) for rho in CORRELATIONS] for sd in DEVIATIONS]
            texts = [_text([each for each in those if each is not None]) for those in own]
            lines += [_line([str(seeds), str(k), *texts])] * any(texts)
    return lines


def _text(those: Sequence[Found]) -> str:
    """Coverage by correlation, and the half-widths from the least to the largest."""
    if not those:
        return ""
    widths = [each.half_width for each in those]
    return f"{' '.join(f'{each.coverage:.1f}' for each in those)}, ±{min(widths):.1f}–{max(widths):.1f}"


def benchmarks_table(found: Mapping[float, Mapping[str, Sequence[Found]]]) -> list[str]:
    """Markdown: a line for each benchmark and correlation."""
    heads = ["Benchmark", "Clusters of items", "Correlation", "Score", "Difference", "Score, as if no clusters"]
    lines = [_line([*heads, "Difference, as if no clusters"]), _line(["---", *["---:"] * 6])]
    for name, sizes in SIZES.items():
        for rho in CORRELATIONS[: None if sizes.max() > 1 else 1]:
            texts = [f"{each.coverage:.1f}, ±{each.half_width:.1f}" for each in found[rho][name]]
            lines.append(_line([name, f"{len(sizes)} of {sizes.sum()}", f"{rho:g}", *texts]))
    return lines


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=2000, help="simulated tables of each scenario (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing (default: 0)")
    given = parser.parse_args(arguments)
    single = {rho: of_benchmarks(given.tables, given.seed, rho) for rho in CORRELATIONS}
    means: dict[Scenario, Found] = {}
    for deviation in DEVIATIONS:
        for rho in CORRELATIONS:
            means |= of_means(given.tables, given.seed, deviation, rho)
    print("\n".join(["One benchmark, one seed:", "", *benchmarks_table(single)]))
    for quantity in (SCORE, DIFFERENCE, UNTRAINED):
        print("\n".join(["", f"{quantity}:", "", *means_table(means, quantity)]))
    covers = [each.coverage for each in means.values()]
    inside = sum(94 <= each <= 96 for each in covers)
    print(
        f"\n{inside} of {len(covers)} means are covered in 94 to 96 %, all in {min(covers):.1f} to {max(covers):.1f} %."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
