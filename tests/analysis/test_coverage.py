"""The 95 % intervals hold the true value in 94 to 96 % of simulated tables.

A simulated answer is right with probability logistic(logit d_i + m + g_i + b_s + c_j): difficulty d_i ~ Beta(1.2, 0.9)
as in a benchmark with many easy and many hard items, the method m, its liking for the item g_i, the training seed b_s,
the problem c_j that an item belongs to.  All but m are drawn anew for every table, which is what an interval speaks of.
A seed's standard deviation of 0.15 moves the score by some 2.5 points, like the choice of 300 items.

With 4,000 tables a coverage has a standard error of 0.35 points.  The random seed is the first one tried, 0.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import beta, norm

from analysis.significance import Interval, difference_interval, mean_interval

pytestmark = pytest.mark.slow

TABLES = 4000
DIFFICULTY = (1.2, 0.9)
OURS, BASE = 0.25, 0.0
LIKING_SD, SEED_SD, PROBLEM_SD = 0.5, 0.15, 0.8


def true_score(method: float, sd: float) -> float:
    """Expected score over items, seeds and problems; ``sd`` is that of everything normal on the logit scale."""
    middles = (np.arange(400) + 0.5) / 400
    difficulty, rest = logit_of_difficulty(beta.ppf(middles, *DIFFICULTY)), sd * norm.ppf(middles)
    return float(expit(difficulty[:, None] + method + rest).mean())


def logit_of_difficulty(d: NDArray[np.float64]) -> NDArray[np.float64]:
    d = np.clip(d, 1e-9, 1 - 1e-9)
    return np.log(d / (1 - d))


def seed_effects(rng: np.random.Generator, seeds: int, sd: float) -> NDArray[np.float64]:
    return rng.normal(0, sd, seeds)


def answers(
    rng: np.random.Generator, items: NDArray[np.float64], method: float, seeds: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Verdicts (S, n) of one method on items of logit difficulty (n,), with its own liking for each item."""
    liking = rng.normal(0, LIKING_SD, len(items))
    chance = expit(items + method + liking + seeds[:, None])
    return rng.random(chance.shape) < chance


def draw_items(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return logit_of_difficulty(rng.beta(*DIFFICULTY, n))


def mean(seeds: int, sizes: Sequence[int] = (300,)) -> tuple[Callable[[np.random.Generator], Interval], float]:
    """Of benchmarks of these sizes."""

    def table(rng: np.random.Generator) -> Interval:
        benchmarks = [draw_items(rng, n) for n in sizes]
        luck = seed_effects(rng, seeds, sd)
        return mean_interval([(answers(rng, items, OURS, luck), None) for items in benchmarks])

    sd = SEED_SD if seeds > 1 else 0.0
    return table, true_score(OURS, np.hypot(LIKING_SD, sd))


def difference(ours: int, base: int, n: int = 300) -> tuple[Callable[[np.random.Generator], Interval], float]:
    def table(rng: np.random.Generator) -> Interval:
        items = draw_items(rng, n)
        sides = [answers(rng, items, m, seed_effects(rng, s, sd)) for m, s in ((OURS, ours), (BASE, base))]
        return difference_interval(*sides)

    sd = SEED_SD if min(ours, base) > 1 else 0.0
    together = np.hypot(LIKING_SD, sd)
    return table, true_score(OURS, together) - true_score(BASE, together)


def clustered(ours: int, base: int, problems: int = 150) -> tuple[Callable[[np.random.Generator], Interval], float]:
    """Problems of one to four items, which share most of their difficulty."""

    def table(rng: np.random.Generator) -> Interval:
        labels = np.repeat(np.arange(problems), rng.integers(1, 5, problems))
        items = draw_items(rng, len(labels))
        # What a method makes of a problem is its own, so it does not cancel in the difference.
        sides = []
        for method, seeds in ((OURS, ours), (BASE, base)):
            problem = rng.normal(0, PROBLEM_SD, problems)[labels]
            sides.append(answers(rng, items + problem, method, seed_effects(rng, seeds, sd)))
        return difference_interval(*sides, labels)

    sd = SEED_SD if min(ours, base) > 1 else 0.0
    together = float(np.linalg.norm([LIKING_SD, sd, PROBLEM_SD]))
    return table, true_score(OURS, together) - true_score(BASE, together)


SCENARIOS = {
    "mean, one seed": mean(1),
    "mean, 3 seeds": mean(3),
    "mean, 5 seeds": mean(5),
    "difference, one seed each": difference(1, 1),
    "difference, 3 seeds each": difference(3, 3),
    "difference, 3 seeds each on many items": difference(3, 3, n=1200),
    "difference, 5 seeds each": difference(5, 5),
    "difference, 5 seeds against 3": difference(5, 3),
    "clusters, one seed each": clustered(1, 1),
    "clusters, 3 seeds each": clustered(3, 3),
    "mean of four benchmarks, 3 seeds": mean(3, (60, 150, 300, 600)),
}


def coverage(scenario: str, tables: int, seed: int = 0) -> float:
    table, truth = SCENARIOS[scenario]
    rng = np.random.default_rng(seed)
    intervals = [table(rng) for _ in range(tables)]
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


# Two sides of three seeds, and little in an answer but seed and chance: this is Welch's t-test with three and three,
# which is too wide by a point when both sides vary alike.  Degrees of freedom that mend it would be too many when they
# do not: then the interval would be too narrow, at 93 %.
TOO_WIDE = "difference, 3 seeds each on many items"


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != TOO_WIDE])
def test_the_95_percent_interval_covers_the_truth_in_95_percent_of_tables(scenario: str) -> None:
    assert 0.94 <= coverage(scenario, TABLES) <= 0.96


def test_three_seeds_each_on_many_items_cover_96_percent() -> None:
    assert 0.95 <= coverage(TOO_WIDE, TABLES) <= 0.97
