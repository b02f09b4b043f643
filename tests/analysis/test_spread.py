"""The variance over clusters and seeds against a literal one, statsmodels and Student's tests, and its invariants."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import statsmodels.api as statsmodels
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import t as student
from scipy.stats import ttest_rel

from analysis.significance import Difference, Interval, difference_interval, mean_interval
from analysis.spread import Answers, Benchmark


def difference(ours: Any, base: Any, clusters: Any = None, confidence: float = 0.95) -> Difference:
    return difference_interval([Benchmark.of([ours, base], clusters)], confidence)


def mean(*benchmarks: tuple[Any, Any], confidence: float = 0.95) -> Interval:
    return mean_interval([Benchmark.of([verdicts], clusters) for verdicts, clusters in benchmarks], confidence)


def verdicts(rng: np.random.Generator, seeds: int, n: int, rate: float = 0.5) -> NDArray[np.float64]:
    """Items differ in difficulty, so seeds agree more often than by chance."""
    difficulty = rng.beta(2 * rate, 2 * (1 - rate), n)
    return (rng.random((seeds, n)) < difficulty).astype(float)


Tables = Sequence[tuple[Sequence[Any], Sequence[int]]]
"""Of each benchmark the verdicts of each side, and the items' labels."""


def literal_spread(benchmarks: Tables) -> tuple[float, float, float]:
    """Estimate, standard error and degrees of freedom, item by item as the module's docstring says."""
    sides = range(len(benchmarks[0][0]))
    K = len(benchmarks)
    items, noise, doubt = 0.0, 0.0, 0.0
    seed_scores = [[0.0] * len(benchmarks[0][0][side]) for side in sides]
    for tables, labels in benchmarks:
        n, names = len(labels), sorted(set(labels))
        C = len(names)
        residual = {}
        for side in sides:
            for s, row in enumerate(tables[side]):
                score = sum(row) / n
                seed_scores[side][s] += score / K
                for name in names:
                    own = [value for value, label in zip(row, labels, strict=True) if label == name]
                    residual[side, s, name] = sum(own) - score * len(own)
        seeds = [len(tables[side]) for side in sides]
        own_items = 0.0
        for name in names:
            means = [sum(residual[side, s, name] for s in range(seeds[side])) / seeds[side] for side in sides]
            own_items += (means[0] - (means[1] if len(means) == 2 else 0)) ** 2 / n**2 * C / (C - 1)
        items += own_items / K**2
        doubt += (own_items / K**2) ** 2 / (C + 1)
        for side in sides:
            S = seeds[side]
            if S > 1:
                average = {name: sum(residual[side, s, name] for s in range(S)) / S for name in names}
                square = sum((residual[side, s, name] - average[name]) ** 2 for s in range(S) for name in names)
                noise += square / n**2 * C / ((S - 1) * (C - 1) * S) / K**2
    luck = [(float(np.var(scores, ddof=1)) / len(scores), len(scores)) for scores in seed_scores if len(scores) > 1]
    weighted = [(1 + (7 - len(luck)) / (S - 1)) * G for G, S in luck]
    doubt += sum(kG**2 / (S + 1) for kG, (_, S) in zip(weighted, luck, strict=True))
    common = max(0, items - noise)
    estimate = np.mean(seed_scores[0]) - (np.mean(seed_scores[1]) if len(seed_scores) == 2 else 0)
    variance = max(common + sum(G for G, _ in luck), items / 4)
    return float(estimate), math.sqrt(variance), max(1, (common + sum(weighted)) ** 2 / doubt - 2)


@pytest.mark.parametrize("seeds", [(1, 1), (3, 3), (2, 4), (3, 1)])
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("sizes", [(9,), (6, 9)])
def test_difference_is_the_literal_one(seeds: tuple[int, int], clustered: bool, sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(7)
    labels = [rng.permutation(np.arange(n) % 4) if clustered else np.arange(n) for n in sizes]
    tables = [([rng.random((side, n)) for side in seeds], own.tolist()) for n, own in zip(sizes, labels, strict=True)]
    estimate, error, df = literal_spread(tables)
    half = student.ppf(0.95, df) * error
    found = difference_interval([Benchmark.of(*table) for table in tables], confidence=0.9)
    assert found.estimate == pytest.approx(estimate)
    assert (found.low, found.high) == pytest.approx((max(-1, estimate - half), min(1, estimate + half)))
    assert found.p_value == pytest.approx(2 * student.sf(abs(estimate) / error, df))


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("sizes", [(8,), (6, 9)])
def test_mean_is_the_literal_one(seeds: int, sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(8)
    tables = [rng.random((seeds, n)) for n in sizes]
    p, error, df = literal_spread([([table], list(range(table.shape[1]))) for table in tables])
    found = mean(*((table, None) for table in tables))
    assert found.estimate == pytest.approx(p)
    for end in (found.low, found.high):  # the score equation |p − π| = h √(π (1 − π) / (p (1 − p)))
        reach = student.ppf(0.975, df) * error * math.sqrt(end * (1 - end) / (p * (1 - p)))
        assert abs(p - end) == pytest.approx(reach)


def test_clusters_have_the_sandwich_variance_of_statsmodels() -> None:
    rng = np.random.default_rng(1)
    ours, base = verdicts(rng, 2, 500)
    labels = rng.integers(120, size=500)
    fit = statsmodels.OLS(ours - base, np.ones(500)).fit(cov_type="cluster", cov_kwds={"groups": labels}, use_t=True)
    found = difference(ours, base, labels)
    assert found.estimate == pytest.approx(fit.params[0])
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int()[0]))
    assert found.p_value == pytest.approx(fit.pvalues[0])


def test_one_seed_each_is_students_paired_test() -> None:
    rng = np.random.default_rng(1)
    ours, base = verdicts(rng, 2, 50)
    expected, found = ttest_rel(ours, base), difference(ours, base)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))


def test_seeds_that_matter_alone_are_students_interval_of_their_scores() -> None:
    scores = [0.25, 0.5, 1.0]
    found = difference(np.repeat(np.reshape(scores, (3, 1)), 4, axis=1), np.zeros((1, 4)))
    half = student.ppf(0.975, 2) * np.std(scores, ddof=1) / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((np.mean(scores) - half, 1))


def test_many_seeds_that_differ_by_luck_alone_have_the_standard_error_of_their_scores() -> None:
    rng = np.random.default_rng(3)
    chances = rng.random((2, 30, 1))
    ours, base = (rng.random((2, 30, 2000)) < chances).astype(float)
    found = difference(ours, base)
    error = math.sqrt(sum(np.var(side.mean(axis=1), ddof=1) / 30 for side in (ours, base)))
    assert (found.high - found.low) / 2 == pytest.approx(student.ppf(0.975, 58) * error, rel=0.05)


def test_items_of_one_problem_count_once() -> None:
    """Every item four times over says no more than once, when the copies are known to belong together."""
    rng = np.random.default_rng(4)
    ours, base = verdicts(rng, 3, 100), verdicts(rng, 3, 100)
    copied = np.repeat(ours, 4, axis=1), np.repeat(base, 4, axis=1)
    once, copies, naive = difference(ours, base), difference(*copied, np.repeat(np.arange(100), 4)), difference(*copied)
    assert (copies.low, copies.high) == pytest.approx((once.low, once.high))
    assert naive.high - naive.low < copies.high - copies.low


def test_benchmarks_count_alike_and_share_their_seeds() -> None:
    small, large = np.tile([[1.0], [0.0]], 10), np.tile([[1.0], [0.0]], 1000)
    together, alone = mean((small, None), (large, None)), mean((small, None))
    assert together.estimate == 0.5
    # Nothing but the seed matters and it is the same on both, so a second benchmark tells nothing new.
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))
    unequal = mean((np.eye(10)[:1], None), (np.ones((1, 1000)), None))
    assert unequal.estimate == pytest.approx((0.1 + 1) / 2)


def test_sides_that_answered_other_items_add_their_variances() -> None:
    rng = np.random.default_rng(5)
    ours, base = verdicts(rng, 1, 400), verdicts(rng, 1, 300)
    found = difference_interval([Benchmark((Answers.of(ours), Answers.of(base)), paired=False)])
    error = math.sqrt(sum(np.var(side, ddof=1) / side.size for side in (ours, base)))
    assert (found.high - found.low) / 2 == pytest.approx(student.ppf(0.975, 650) * error, rel=0.002)


@st.composite
def paired_tables(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64] | None]:
    n = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    values = draw(st.sampled_from([2, 3]))  # right or wrong, or half marks as well
    ours, base = (rng.integers(values, size=(draw(st.integers(1, 4)), n)) / (values - 1) for _ in range(2))
    return ours, base, rng.integers(1 + n // 2, size=n) if draw(st.booleans()) else None


@settings(deadline=None, max_examples=150)
@given(paired_tables(), st.sampled_from([0.5, 0.9, 0.95]))
def test_intervals_hold_their_estimate_and_agree_with_p(table: Any, confidence: float) -> None:
    ours, base, clusters = table
    found = difference(ours, base, clusters, confidence)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    assert found.estimate == pytest.approx(ours.mean() - base.mean())
    assert 0 <= found.p_value <= 1
    if abs(found.p_value - (1 - confidence)) > 1e-6:
        assert (found.p_value < 1 - confidence) == (found.low > 0 or found.high < 0)
    own = mean((ours, clusters), confidence=confidence)
    assert 0 <= own.low <= own.estimate <= own.high <= 1
    assert own.high > own.low


@settings(deadline=None, max_examples=100)
@given(paired_tables())
def test_swapped_sides_negate_the_difference(table: Any) -> None:
    ours, base, clusters = table
    there, back = (difference(*sides, clusters) for sides in ((ours, base), (base, ours)))
    negated = (-back.estimate, -back.high, -back.low, back.p_value)
    assert (there.estimate, there.low, there.high, there.p_value) == pytest.approx(negated, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(paired_tables(), st.randoms(use_true_random=False))
def test_the_order_of_items_and_seeds_changes_nothing(table: Any, random: Any) -> None:
    ours, base, clusters = table
    order = random.sample(range(ours.shape[1]), ours.shape[1])
    found = difference(ours, base, clusters)
    shuffled = difference(ours[::-1, order], base[:, order], None if clusters is None else clusters[order])
    there, again = ((each.estimate, each.low, each.high, each.p_value) for each in (found, shuffled))
    assert there == pytest.approx(again, abs=1e-9)
