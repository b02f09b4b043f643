"""The statistics of the tables against their textbook formulas, scipy and statsmodels."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower

from analysis.significance import (
    detectable_difference,
    detectable_paired_difference,
    holm,
    mcnemar,
    mean_interval,
    wilson_interval,
)
from tests.analysis.test_spread import difference, mean

# Proportions


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (10, 10), (1040, 2000), (1, 3)])
def test_wilson_interval_is_scipys(correct: int, n: int) -> None:
    scipys = binomtest(correct, n).proportion_ci(method="wilson")
    assert wilson_interval(correct, n) == (scipys.low, scipys.high)


@pytest.mark.parametrize("correct", [0, 1, 37, 100])
def test_one_seed_of_right_or_wrong_gets_wilsons_interval(correct: int) -> None:
    interval = mean((np.arange(100) < correct, None))
    assert (interval.low, interval.high) == wilson_interval(correct, 100)
    assert interval.estimate == correct / 100


def test_the_spread_gives_wilsons_interval_where_that_applies() -> None:
    right = np.arange(400) < 130
    half_marks = mean((np.r_[right, 0.5], None))  # no proportion, but next to one
    assert (half_marks.low, half_marks.high) == pytest.approx(wilson_interval(130, 400), abs=0.003)


# Degenerate tables


@pytest.mark.parametrize("right", [0.0, 1.0])
@pytest.mark.parametrize("seeds", [1, 3])
def test_all_right_or_all_wrong_is_as_sure_as_the_number_of_items(right: float, seeds: int) -> None:
    for benchmarks in (1, 2):
        interval = mean(*[(np.full((seeds, 50), right), None)] * benchmarks)
        n = 50 * benchmarks
        assert (interval.low, interval.high) == pytest.approx(wilson_interval(int(n * right), n))


def test_identical_verdicts_differ_by_nothing_but_their_interval_has_a_width() -> None:
    same = np.arange(98) % 3 == 0
    found = difference(same, same)
    assert (found.estimate, found.p_value) == (0.0, 1.0)
    half = norm.ppf(0.975) * math.sqrt(2 / 100 / 100)  # two discordant items of 100, one won by each side
    assert (found.low, found.high) == pytest.approx((-half, half))


def test_a_difference_on_every_item_is_found() -> None:
    found = difference(np.ones(20), np.zeros(20))
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert 0 < found.low < 1
    assert found.p_value < 0.001


def test_a_single_item_or_problem_shows_nothing() -> None:
    found = difference([1], [0])
    assert (found.estimate, found.low, found.high, found.p_value) == (1.0, -1.0, 1.0, 1.0)
    problem = mean((np.eye(3), [5, 5, 5]))
    assert (problem.low, problem.high) == (0.0, 1.0)
    one = mean(([1], None))
    assert (one.low, one.high) == wilson_interval(1, 1)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: difference(np.ones((3, 4)), np.ones((3, 5))), "same items, got 4 and 5"),
        (lambda: mean(([1, math.nan], None)), r"numbers in \[0, 1\]"),
        (lambda: mean(([0.5, 1.5], None)), r"numbers in \[0, 1\]"),
        (lambda: mean((np.ones((2, 0)), None)), "at least one of each"),
        (lambda: mean((np.ones((2, 2, 2)), None)), "seeds × items"),
        (lambda: mean((np.ones((2, 4)), [1, 2, 3])), "one label per item"),
        (lambda: mean_interval([]), "at least one benchmark"),
        (lambda: mean((np.eye(3), None), (np.eye(2), None)), "same seeds on all benchmarks"),
        (lambda: mcnemar([1, 0], [1]), "same items"),
        (lambda: mcnemar([1, 0.5], [1, 1]), "0 or 1"),
        (lambda: holm([0.5, 1.5]), r"lies in \[0, 1\]"),
        (lambda: holm([math.nan]), r"lies in \[0, 1\]"),
        (lambda: detectable_difference(0.0, 100), "strictly between 0 and 1"),
        (lambda: detectable_difference(math.nan, 100), "strictly between 0 and 1"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(call: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()


# Tests


@pytest.mark.parametrize("seed", range(8))
def test_mcnemar_is_that_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ours, base = rng.integers(2, size=(2, 40))
    table = [[((ours == i) & (base == j)).sum() for j in (1, 0)] for i in (1, 0)]
    found = mcnemar(ours, base)
    assert found.p_value == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)
    assert (found.ours_only, found.base_only) == (table[0][1], table[1][0])


def test_mcnemar_of_identical_verdicts() -> None:
    found = mcnemar([1, 0, 1], [1, 0, 1])
    assert (found.ours_only, found.base_only, found.p_value) == (0, 0, 1.0)


@given(st.lists(st.none() | st.floats(0, 1), max_size=12))
def test_holm_is_the_literal_definition_and_keeps_the_order(p_values: list[float | None]) -> None:
    adjusted = holm(p_values)
    assert [a is None for a in adjusted] == [p is None for p in p_values]
    run = [(p, a) for p, a in zip(p_values, adjusted, strict=True) if p is not None and a is not None]
    in_order = sorted(p for p, _ in run)
    stepped = [min(1.0, (len(run) - i) * p) for i, p in enumerate(in_order)]
    assert sorted(a for _, a in run) == pytest.approx([max(stepped[: i + 1]) for i in range(len(run))])
    assert all(p <= a <= 1 for p, a in run)
    assert [a for _, a in sorted(run)] == sorted(a for _, a in run)


@pytest.mark.parametrize("p_values", [[0.04], [0.01, 0.02, 0.02, 0.9, 0.0], np.random.default_rng(0).random(9) / 9])
def test_holm_is_that_of_statsmodels(p_values: Any) -> None:  # which collects all garbage each time, so not many
    assert holm(list(p_values)) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


# What a design can show


def test_detectable_difference_is_that_of_statsmodels() -> None:
    rate, n = 0.4, 500
    statsmodels = NormalIndPower().solve_power(nobs1=n, alpha=0.05, power=0.8) * math.sqrt(rate * (1 - rate))
    assert detectable_difference(rate, n) == pytest.approx(statsmodels, rel=1e-4)


def test_detectable_paired_difference_is_that_of_statsmodels() -> None:
    ours = np.arange(700) < 140  # a fifth of the items is right on this side alone
    one_sample = NormalIndPower(ddof=0).solve_power(nobs1=700, alpha=0.05, power=0.9, ratio=0) * math.sqrt(0.2)
    assert detectable_paired_difference(ours, np.zeros(700), power=0.9) == pytest.approx(one_sample, rel=1e-4)


def test_copies_of_an_item_make_nothing_easier_to_detect() -> None:
    ours, base = np.random.default_rng(0).integers(2, size=(2, 100))
    copies = detectable_paired_difference(np.repeat(ours, 3), np.repeat(base, 3), np.repeat(np.arange(100), 3))
    assert copies == pytest.approx(detectable_paired_difference(ours, base))
