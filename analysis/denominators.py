"""Which sizes of a test set the papers' scores fit: a share of n problems is a multiple of 1/n, whatever was right.

A score with two decimals fits 1/788 by chance eight times in a hundred, one with one decimal eight times in ten: only
the columns with two decimals say something.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from scipy.stats import binomtest, fisher_exact

from analysis.paper import Printed, paper_tables
from analysis.paper_checks import unit

SIZES = {
    "MathVista": {1000: "testmini", 3000: "testmini, three prompts"},
    "MathVerse": {788: "testmini, one version", 3940: "testmini, five versions"},
    "MathVision": {304: "testmini", 3040: "test"},
    "WeMath": {525: "composite problems", 1050: "strict and loose scores", 1740: "testmini"},
    "HalluBench": {951: "questions with an image", 1129: "all questions"},
}
"""Of the benchmarks whose score is a share of problems, by the papers' columns: how many, and of what."""
SIZES |= {"HallusionBench": SIZES["HalluBench"]}

OWN = {
    "kawhi_1": ("KAWHI",),
    "kawhi_3": ("KAWHI", "vision", "Random", "Inverse", "Key", "level", "w/o", "RoPE"),
    "tor_1": ("%",),
    "tor_2": ("%",),
    "tor_3": ("0.", "1."),
    "tor_4": ("ToR",),
    "tor_5": ("Diff",),
}
"""What the names of rows with a paper's own method have in them; the others are its baselines."""


@dataclass(frozen=True)
class Fit:
    """How many scores of a column are multiples of 1/size."""

    table: str
    column: str
    whose: str  # "baselines" or "own"
    size: int
    scores: tuple[str, ...]
    fitting: tuple[str, ...]

    @property
    def expected(self) -> float:
        """Of as many scores without any size behind them."""
        return sum(chance(decimals(score), self.size) for score in self.scores)

    @property
    def p_value(self) -> float:
        """How often as many would fit by chance: the exact binomial test, one-sided."""
        share = self.expected / len(self.scores)
        return float(binomtest(len(self.fitting), len(self.scores), share, alternative="greater").pvalue)

    def __str__(self) -> str:
        """A line of the table in docs/discrepancies.md."""
        size = f"{self.size} ({SIZES[self.column][self.size]})"
        found = f"{len(self.fitting)} of {len(self.scores)}"
        paper = paper_tables()[self.table]
        where = f"{paper.paper}, {paper.place.split(', ')[-1]}"
        cells = (where, self.column, self.whose, size, found, f"{self.expected:.1f}", f"{self.p_value:.1g}")
        return f"| {' | '.join(cells)} |"


def decimals(score: str) -> int:
    """2 of "69.30"."""
    return -int(unit(score).as_tuple().exponent)


def fits(score: str, size: int) -> bool:
    """Whether a whole number of ``size`` problems, as percent, may be printed so; halves may go either way."""
    half = unit(score) / 2
    low, high = ((Decimal(score) + side) * size / 100 for side in (-half, half))
    return math.ceil(low) <= math.floor(high)


@cache
def chance(places: int, size: int) -> float:
    """The share of all numbers from 0 to 100 with so many decimals that fit."""
    steps = 100 * 10**places
    return sum(fits(str(Decimal(i).scaleb(-places)), size) for i in range(steps + 1)) / (steps + 1)


def searched() -> Iterator[Fit]:
    """Every column of both papers whose score is a share of problems, baselines and own rows apart."""
    for key, names in OWN.items():
        for column in (each for each in paper_tables()[key].columns if each in SIZES):
            for whose, scores in _sides(key, column, names).items():
                for size in SIZES[column]:
                    if scores:
                        yield Fit(key, column, whose, size, scores, tuple(s for s in scores if fits(s, size)))


def telling(found: Sequence[Fit]) -> list[Fit]:
    """Those of several scores of which less than half would fit by chance."""
    return [fit for fit in found if len(fit.scores) > 1 and fit.expected < len(fit.scores) / 2]


def unlike(baselines: Fit, own: Fit) -> float:
    """Fisher's exact test: how often baselines and own rows would differ as much in how many fit."""
    table = [[len(fit.fitting), len(fit.scores) - len(fit.fitting)] for fit in (baselines, own)]
    return float(fisher_exact(table).pvalue)


def strangers() -> Iterator[str]:
    """A sentence for each column with scores that fit none of its sizes."""
    columns = [(key, column) for key in OWN for column in paper_tables()[key].columns if column in SIZES]
    for key, column in columns:
        scores = [score.text for score in _printed(key, column).values()]
        if found := [score for score in scores if not any(fits(score, size) for size in SIZES[column])]:
            paper, sizes = paper_tables()[key], " nor ".join(f"1/{size}" for size in SIZES[column])
            where = f"{paper.paper}, {paper.place.split(', ')[-1]}, {column}"
            yield f"{where}: {', '.join(found)} ({len(found)} of {len(scores)}) are multiples of neither {sizes}."


def _sides(key: str, column: str, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    sides: dict[str, list[str]] = {"baselines": [], "own": []}
    for (_, row), score in _printed(key, column).items():
        sides["own" if any(name in row for name in names) else "baselines"].append(score.text)
    return {whose: tuple(scores) for whose, scores in sides.items()}


def _printed(key: str, column: str) -> dict[tuple[str, str], Printed]:
    """The scores of a column by the number and the name of their row."""
    rows = enumerate(paper_tables()[key].rows)
    return {(str(i), row.row): row.cells[column] for i, row in rows if column in row.cells}
