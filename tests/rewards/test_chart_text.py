"""Short answers about charts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kawhi.rewards.chart_text import elements, number, plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("40,000", "40000"),
        ("1.5e3", "1500"),
        ("10^-2", "0.01"),
        ("10^{2}", "100"),
        (r"3 \times 10^2", "300"),
        ("−0.80", "-0.8"),
        ("94 %", "94"),
        (".5", "0.5"),
        ("$12", "12"),
    ],
)
def test_a_number_is_exact(text, value):
    assert number(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "6B", "nan", "1_000", "²", "10 to 20", "1e9999", "1" * 2000])
def test_other_text_is_no_number(text):
    assert number(text) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [("$R^2_{t,h}$", "R^2_t,h"), ("α", r"\alpha"), ("(b)", "B"), ("Time  [s].", "time [s]"), ("**iCaRL***", "iCaRL*")],
)
def test_text_that_is_the_same(one, other):
    assert plain(one) == plain(other)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[a, b]", ["a", "b"]),
        ("['a, b', c d]", ["a, b", "c d"]),
        ('["1,5", 2%]', ["1,5", "2%"]),
        ("[]", []),
        ("a, b", None),
        ("[", None),
    ],
)
def test_elements_of_a_list(text, found):
    assert elements(text) == found
