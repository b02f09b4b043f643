"""Values and units."""

from __future__ import annotations

import pytest

from kawhi.rewards.latex import tidy
from kawhi.rewards.units import same_unit, split_unit


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("5 cm", "5", "cm"),
        ("5cm", "5", "cm"),
        (r"5\,\text{centimeters}", "5", "cm"),
        (r"5\mathrm{~cm}", "5", "cm"),
        ("5 inches", "5", "in"),
        ("5 feet", "5", "ft"),
        ("25 cm^2", "25", "cm^2"),
        (r"25 \text{ cm}^{2}", "25", "cm^2"),
        ("25 square centimeters", "25", "cm^2"),
        ("25 sq. cm", "25", "cm^2"),
        ("3 cubic meters", "3", "m^3"),
        ("60 km/h", "60", "km/h"),
        ("60 kilometers per hour", "60", "km/h"),
        (r"12\pi \text{ cm}", r"12\pi", "cm"),
        (r"\frac{1}{2} \text{ m}", r"\frac{1}{2}", "m"),
        ("30°", "30", r"^\circ"),
        ("30 degrees", "30", r"^\circ"),
        ("20°C", "20", r"^\circC"),
        (r"\$5", "5", "dollar"),
        ("-€5", "-5", "euro"),
        ("5 m", "5", "m"),
        ("12 apples", "12", "apple"),
        (r"18 \Omega", "18", "ohm"),
        ("5m", "5m", None),
        ("2x", "2x", None),
        ("2 x", "2 x", None),
        (r"2 \pi r", r"2 \pi r", None),
        ("x", "x", None),
        ("5", "5", None),
        ("5 or more", "5 or more", None),
        ("cm", "cm", None),
    ],
)
def test_split(text, value, unit):
    assert split_unit(tidy(text)) == (value, unit)


def test_a_letter_at_the_number_is_a_unit_only_where_it_cannot_be_a_factor():
    assert split_unit("5m") == ("5m", None)
    assert split_unit("5m", any_letter=True) == ("5", "m")
    assert split_unit("5x", any_letter=True) == ("5x", None)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [("cm", "cm", True), ("cm", None, True), ("cm", "unit", True), ("cm^2", "unit^2", True), ("cm", "m", False)],
)
def test_same(left, right, same):
    assert same_unit(left, right) is same
    assert same_unit(right, left) is same
