"""Paired differences, Holm's correction, and whether a bench could tell."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from kawhi.lab.comparison import Series, compare, could_tell, declared, first_line, verdict

SEEDS = range(6)


def series(credit: str, values, label: str | None = None) -> Series:
    return Series(label or credit, credit, dict(enumerate(values)), 1.0)


def paired(values: list[float]) -> tuple[float, float, float, float]:
    """Mean, interval and p of a paired t test, written out."""
    n, mean = len(values), sum(values) / len(values)
    error = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n)
    half = t.ppf(0.975, n - 1) * error
    return mean, mean - half, mean + half, 2 * t.sf(abs(mean / error), n - 1)


def holm(ps: list[float]) -> list[float]:
    """Step-down: the k-th smallest times how many are left, never below the one before."""
    corrected, worst = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        worst = max(worst, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = worst
    return corrected


ROWS = st.lists(st.floats(-20, 20).map(lambda x: round(x, 3)), min_size=6, max_size=6, unique=True)


@given(ROWS, st.lists(ROWS, min_size=1, max_size=5))
def test_gains_intervals_and_p_are_those_of_the_formulas(base, others):
    differences = [[a - b for a, b in zip(own, base, strict=True)] for own in others]
    if any(max(row) - min(row) < 1e-6 for row in differences):
        return
    found = compare([series("uniform", base), *(series("x", own, f"x{i}") for i, own in enumerate(others))])
    assert found[0].gain is None
    expected = [paired(row) for row in differences]
    for own, (mean, low, high, _), p in zip(found[1:], expected, holm([e[3] for e in expected]), strict=True):
        assert own.gain == pytest.approx(mean, abs=1e-9)
        assert own.interval == pytest.approx((low, high), abs=1e-6)
        assert own.p == pytest.approx(p, rel=1e-6, abs=1e-12)
        assert own.seeds == 6


def test_seeds_that_one_of_two_has_are_not_compared():
    uniform = Series("uniform", "uniform", {0: 10.0, 1: 20.0, 2: 30.0}, 1.0)
    other = Series("kawhi", "kawhi", {1: 21.0, 2: 33.0, 7: 99.0}, 1.0)
    found = compare([uniform, other])[1]
    assert (found.seeds, found.gain) == (2, 2.0)


def told(oracle: float, anti: float, spread: float = 0.1):
    noise = [spread * (-1) ** seed for seed in SEEDS]
    rows = [
        series("uniform", [50.0] * 6),
        series("oracle", [50 + oracle + n for n in noise]),
        series("anti_oracle", [50 + anti + n for n in noise]),
        series("kawhi", [52 + n for n in noise]),
    ]
    return compare(rows)


@pytest.mark.parametrize(
    ("oracle", "anti", "spread", "able"),
    [(3, -3, 0.1, True), (3, 0.5, 0.1, False), (-1, -3, 0.1, False), (3, -3, 20, False)],
)
def test_a_bench_that_could_not_tell_gives_no_verdict(oracle, anti, spread, able):
    found = told(oracle, anti, spread)
    assert could_tell(found) is able
    line = first_line(found, "world")
    assert ("could tell" in line) is able
    assert ("could not tell" in line) is not able
    words = [verdict(each, able) for each in found]
    assert words[0] == "what all are compared with"
    assert (words[3] == "no verdict") is not able
    if able:
        assert words[1:3] == ["better", "worse"]


def test_without_a_control_a_bench_cannot_tell():
    found = [each for each in told(3, -3) if each.credit != "anti_oracle"]
    assert not could_tell(found)
    assert "anti-oracle not run" in first_line(found, "world")


def test_nothing_is_compared_without_uniform_credit():
    with pytest.raises(ValueError, match="uniform credit was not run"):
        compare([series("kawhi", [1.0, 2.0])])


def test_one_seed_has_a_gain_and_nothing_else():
    found = compare([series("uniform", [50.0]), series("kawhi", [53.0])])[1]
    assert (found.gain, found.interval, found.p) == (3.0, None, None)
    assert verdict(found, told=True) == "no verdict"


def test_a_declared_comparison_is_between_two_rows():
    rows = [series("kawhi", [50.0, 51, 52]), series("kawhi", [52.0, 53.5, 53.6], "sharp")]
    line = declared(["sharp", "kawhi"], rows)
    assert line is not None
    assert line.startswith("declared: sharp minus kawhi +2.0 [")
    assert declared(["sharp", "other"], rows) is None
