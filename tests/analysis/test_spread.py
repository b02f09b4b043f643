"""The hierarchical bootstrap against a literal one, scipy's, analytic standard errors, and its invariants."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import bootstrap
from scipy.stats import t as student

from analysis.resampling import RESAMPLES, draw_counts
from analysis.significance import difference_interval, mean_interval


def verdicts(rng: np.random.Generator, seeds: int, n: int, rate: float = 0.5) -> NDArray[np.float64]:
    """Items differ in difficulty, so seeds agree more often than by chance."""
    difficulty = rng.beta(2 * rate, 2 * (1 - rate), n)
    return (rng.random((seeds, n)) < difficulty).astype(float)


def test_draws_are_multinomial_and_made_once() -> None:
    counts = draw_counts(50)
    assert counts.shape == (RESAMPLES, 50)
    assert (counts.sum(axis=1) == 50).all()
    assert np.var(counts, axis=0).mean() == pytest.approx(1 - 1 / 50, rel=0.02)
    assert draw_counts(50) is counts
    assert not np.array_equal(draw_counts(50, RESAMPLES, 1), counts)


def literal_spread(
    benchmarks: Sequence[tuple[Sequence[Any], Sequence[int]]], resamples: int, seed: int
) -> tuple[float, float, float]:
    """Estimate, standard error and degrees of freedom, item by item as the module's docstring says."""
    sides, signs = range(len(benchmarks[0][0])), (1, -1)
    K = len(benchmarks)
    item_parts, noise, cluster_counts = [], 0.0, []
    seed_scores = [[0.0] * len(benchmarks[0][0][side]) for side in sides]
    for tables, labels in benchmarks:
        n, names = len(labels), sorted(set(labels))
        C = len(names)
        cluster_counts.append(C)
        for side in sides:
            for s, row in enumerate(tables[side]):
                seed_scores[side][s] += sum(row) / n / K
        replicates = []
        for counts in draw_counts(C, resamples, seed):
            total, score = 0.0, [[0.0] * len(tables[side]) for side in sides]
            for times, name in zip(counts, names, strict=True):
                for _ in range(int(times)):
                    for i in range(n):
                        if labels[i] == name:
                            total += 1
                            for side in sides:
                                for s in range(len(tables[side])):
                                    score[side][s] += tables[side][s][i]
            replicates.append(sum(signs[side] * np.mean(score[side]) / total for side in sides))
        item_parts.append(np.var(replicates) * C / (C - 1) / K**2)
        for side in sides:
            S = len(tables[side])
            if S > 1:
                residual = np.zeros((S, C))
                for s in range(S):
                    for c, name in enumerate(names):
                        members = [i for i in range(n) if labels[i] == name]
                        residual[s, c] = sum(tables[side][s][i] - np.mean(tables[side][s]) for i in members) / (n / C)
                square = sum((residual[s, c] - residual[:, c].mean()) ** 2 for s in range(S) for c in range(C))
                noise += square / ((S - 1) * (C - 1)) / (S * C) / K**2
    luck = []
    for side in sides:
        S = len(seed_scores[side])
        if S > 1:
            means = [
                sum(seed_scores[side][s] for s in range(S) for _ in range(int(counts[s]))) / S
                for counts in draw_counts(S, resamples, seed)
            ]
            luck.append((np.var(means) * S / (S - 1), S))
    estimate = sum(signs[side] * np.mean(seed_scores[side]) for side in sides)
    kappa = 1 + 3 / (luck[0][1] - 1) if len(luck) == 1 else 1
    common = max(0, sum(item_parts) - noise)
    G = sum(g for g, _ in luck)
    doubt = sum(part**2 / (C - 1) for part, C in zip(item_parts, cluster_counts, strict=True))
    doubt += sum((kappa * g) ** 2 / (S - 1) for g, S in luck)
    return estimate, math.sqrt(max(common + G, sum(item_parts) / 4)), max(1, (common + kappa * G) ** 2 / doubt)


@pytest.mark.parametrize("seeds", [(1, 1), (3, 3), (2, 4), (3, 1)])
@pytest.mark.parametrize("clustered", [False, True])
def test_difference_is_that_of_the_literal_bootstrap(seeds: tuple[int, int], clustered: bool) -> None:
    rng = np.random.default_rng(7)
    for n in (6, 9):
        sides = [rng.random((side, n)) for side in seeds]
        labels = rng.permutation(np.arange(n) % 4) if clustered else np.arange(n)
        estimate, error, df = literal_spread([(sides, labels.tolist())], 40, 3)
        half = student.ppf(0.95, df) * error
        found = difference_interval(*sides, labels if clustered else None, confidence=0.9, resamples=40, seed=3)
        assert found.estimate == pytest.approx(estimate)
        assert (found.low, found.high) == pytest.approx((max(-1, estimate - half), min(1, estimate + half)), abs=1e-6)
        assert found.p_value == pytest.approx(2 * student.sf(abs(estimate) / error, df), rel=1e-5)
        assert found.covers_seeds == (min(seeds) > 1)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("sizes", [(8,), (6, 9)])
def test_mean_is_that_of_the_literal_bootstrap(seeds: int, sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(8)
    tables = [rng.random((seeds, n)) for n in sizes]
    p, error, df = literal_spread([([table], list(range(table.shape[1]))) for table in tables], 40, 3)
    found = mean_interval([(table, None) for table in tables], resamples=40, seed=3)
    assert found.estimate == pytest.approx(p)
    for end in (found.low, found.high):  # the score equation |p − π| = h √(π (1 − π) / (p (1 − p)))
        reach = student.ppf(0.975, df) * error * math.sqrt(end * (1 - end) / (p * (1 - p)))
        assert abs(p - end) == pytest.approx(reach, rel=1e-5)


def test_one_seed_each_is_scipys_paired_bootstrap() -> None:
    rng = np.random.default_rng(1)
    ours, base = verdicts(rng, 2, 500)
    scipys = bootstrap(
        (ours, base),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(2),
    )
    found = difference_interval(ours, base)
    assert (found.low, found.high) == pytest.approx(tuple(scipys.confidence_interval), abs=0.005)


def test_many_seeds_that_differ_by_luck_alone_have_the_standard_error_of_their_scores() -> None:
    rng = np.random.default_rng(3)
    chances = rng.random((2, 30, 1))
    ours, base = (rng.random((2, 30, 2000)) < chances).astype(float)
    found = difference_interval(ours, base)
    error = math.sqrt(sum(np.var(side.mean(axis=1), ddof=1) / 30 for side in (ours, base)))
    assert (found.high - found.low) / 2 == pytest.approx(student.ppf(0.975, 58) * error, rel=0.05)


def test_items_of_one_problem_count_once() -> None:
    """Every item four times over says no more than once, when the copies are known to belong together."""
    rng = np.random.default_rng(4)
    ours, base = verdicts(rng, 3, 100), verdicts(rng, 3, 100)
    once = difference_interval(ours, base)
    copies = difference_interval(np.repeat(ours, 4, axis=1), np.repeat(base, 4, axis=1), np.repeat(np.arange(100), 4))
    naive = difference_interval(np.repeat(ours, 4, axis=1), np.repeat(base, 4, axis=1))
    assert (copies.low, copies.high) == pytest.approx((once.low, once.high), abs=1e-6)
    assert naive.high - naive.low < copies.high - copies.low


def test_benchmarks_count_alike_and_share_their_seeds() -> None:
    small, large = np.tile([[1.0], [0.0]], 10), np.tile([[1.0], [0.0]], 1000)
    together = mean_interval([(small, None), (large, None)])
    alone = mean_interval([(small, None)])
    assert together.estimate == 0.5
    # Nothing but the seed matters and it is the same on both, so a second benchmark tells nothing new.
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))
    unequal = mean_interval([(np.eye(10)[:1], None), (np.ones((1, 1000)), None)])
    assert unequal.estimate == pytest.approx((0.1 + 1) / 2)


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
    found = difference_interval(ours, base, clusters, confidence, resamples=200)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    assert found.estimate == pytest.approx(ours.mean() - base.mean())
    assert 0 <= found.p_value <= 1
    if abs(found.p_value - (1 - confidence)) > 1e-6:
        assert (found.p_value < 1 - confidence) == (found.low > 0 or found.high < 0)
    mean = mean_interval([(ours, clusters)], confidence, resamples=200)
    assert 0 <= mean.low <= mean.estimate <= mean.high <= 1
    assert mean.high > mean.low


@settings(deadline=None, max_examples=100)
@given(paired_tables())
def test_swapped_sides_negate_the_difference(table: Any) -> None:
    ours, base, clusters = table
    there, back = (difference_interval(*sides, clusters, resamples=200) for sides in ((ours, base), (base, ours)))
    negated = (-back.estimate, -back.high, -back.low, back.p_value)
    assert (there.estimate, there.low, there.high, there.p_value) == pytest.approx(negated, abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_the_order_of_items_and_seeds_changes_nothing_beyond_the_resampling(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ours, base = verdicts(rng, 3, 80), verdicts(rng, 4, 80)
    order = rng.permutation(80)
    found, shuffled = difference_interval(ours, base), difference_interval(ours[::-1, order], base[:, order])
    assert shuffled.estimate == pytest.approx(found.estimate)
    assert shuffled.high - shuffled.low == pytest.approx(found.high - found.low, rel=0.25)
    assert difference_interval(ours, base) == found
