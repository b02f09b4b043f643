"""Which test sets the papers' scores fit, and what docs/discrepancies.md says of it."""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.denominators import chance, fits, searched, strangers, telling, unlike

PAGE = (Path(__file__).parents[2] / "docs" / "discrepancies.md").read_text(encoding="utf-8")
FOUND = {(fit.table, fit.column, fit.whose, fit.size): fit for fit in searched()}
MATHVERSE = [FOUND["kawhi_1", "MathVerse", whose, 788] for whose in ("baselines", "own")]


@given(st.integers(1, 4000), st.data(), st.sampled_from([1, 2]), st.sampled_from([ROUND_HALF_UP, ROUND_HALF_DOWN]))
def test_every_share_fits_its_size_however_it_is_rounded(size, data, places, rounding):
    right = data.draw(st.integers(0, size))
    assert fits(str((Decimal(100 * right) / size).quantize(Decimal(1).scaleb(-places), rounding)), size)


@given(st.integers(0, 10000), st.integers(1, 4000))
def test_what_fits_is_what_some_number_of_problems_gives(hundredths, size):
    """Every share of the size, one after the other."""
    printed = Fraction(hundredths, 10000)
    reached = any(abs(Fraction(k, size) - printed) <= Fraction(1, 20000) for k in range(size + 1))
    assert fits(str(Decimal(hundredths).scaleb(-2)), size) == reached


def test_so_many_fit_by_chance():
    assert chance(2, 788) == pytest.approx(789 / 10001, abs=2e-4)
    assert chance(1, 1000) == chance(2, 10000) == 1
    assert chance(2, 304) == pytest.approx(305 / 10001, abs=2e-4)


def test_eight_of_eleven_baselines_are_of_one_version_of_mathverse_and_none_of_kawhi_s_rows():
    baselines, own = MATHVERSE
    assert (len(baselines.fitting), len(baselines.scores), len(own.fitting), len(own.scores)) == (8, 11, 0, 6)
    assert baselines.expected == pytest.approx(0.87, abs=0.01)
    share = chance(2, 788)
    tail = sum(math.comb(11, k) * share**k * (1 - share) ** (11 - k) for k in range(8, 12))
    assert baselines.p_value == pytest.approx(tail)
    assert f"{tail:.0e}" == "2e-07"
    both, fitting = math.comb(17, 11), 8
    same = [math.comb(fitting, k) * math.comb(17 - fitting, 11 - k) / both for k in range(2, 9)]  # k of the baselines
    assert unlike(baselines, own) == pytest.approx(sum(p for p in same if p <= same[-1] * (1 + 1e-9)))
    assert f"(Fisher's exact test between the two: p = {unlike(baselines, own):.1g})" in re.sub(r"\s+", " ", PAGE)


def test_the_page_has_every_test_that_says_something_and_no_other():
    told = telling([*FOUND.values()])
    assert [line for line in PAGE.splitlines() if line.startswith(("| KAWHI, table", "| ToR, table"))] == [
        *map(str, told)
    ]
    assert f"The rest are {len(told)} tests" in re.sub(r"\s+", " ", PAGE)
    assert f"a p of {0.05 / len(told):.1g} is 0.05" in re.sub(r"\s+", " ", PAGE)


def test_the_page_has_the_scores_that_fit_no_size():
    page = re.sub(r"\s+", " ", PAGE)
    assert all(sentence in page for sentence in strangers())
    assert sum("multiples of neither" in sentence for sentence in strangers()) == page.count("multiples of neither")
    assert "MathVision: 24.76, 28.21, 22.16, 28.43 (4 of 17)" in page


def test_own_rows_and_baselines_are_told_apart_in_every_table():
    sides = {(fit.table, fit.whose): len(fit.scores) for fit in FOUND.values() if fit.column == "MathVerse"}
    assert sides == {
        ("kawhi_1", "baselines"): 11,
        ("kawhi_1", "own"): 6,
        ("kawhi_3", "baselines"): 1,
        ("kawhi_3", "own"): 9,
        **{
            (f"tor_{k}", whose): n
            for k, own in ((1, 7), (2, 7), (3, 8))
            for whose, n in (("baselines", 1), ("own", own))
        },
        ("tor_4", "baselines"): 15,
        ("tor_4", "own"): 5,
        ("tor_5", "baselines"): 1,
        ("tor_5", "own"): 3,
    }
