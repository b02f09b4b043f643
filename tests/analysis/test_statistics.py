"""The statistics of the tables against their textbook formulas."""

import math

import pytest
from scipy.stats import binomtest, norm

from analysis.statistics import detectable_difference, wilson_interval


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (10, 10), (1040, 2000), (1, 3)])
def test_wilson_interval_is_the_literal_formula(correct: int, n: int) -> None:
    z, p = norm.ppf(0.975), correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert wilson_interval(correct, n) == pytest.approx((centre - half, centre + half), abs=1e-12)
    scipys = binomtest(correct, n).proportion_ci(method="wilson")
    assert wilson_interval(correct, n) == (scipys.low, scipys.high)


def test_wilson_interval_widens_with_confidence() -> None:
    narrow, wide = wilson_interval(30, 100, 0.9), wilson_interval(30, 100, 0.99)
    assert wide[0] < narrow[0] < 0.3 < narrow[1] < wide[1]


def test_detectable_difference_is_the_literal_formula() -> None:
    expected = (1.959963984540054 + 0.8416212335729143) * math.sqrt(2 * 0.52 * 0.48 / 2000)
    assert detectable_difference(0.52, 2000) == pytest.approx(expected)
    assert detectable_difference(0.52, 2000) == pytest.approx(0.04426, abs=1e-5)


def test_detectable_difference_is_found_with_the_power_asked_for() -> None:
    rate, n = 0.4, 500
    error = math.sqrt(2 * rate * (1 - rate) / n)
    power = norm.sf(norm.ppf(0.975) - detectable_difference(rate, n) / error)
    assert power == pytest.approx(0.8)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, math.nan])
def test_detectable_difference_refuses_a_degenerate_rate(rate: float) -> None:
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        detectable_difference(rate, 100)
