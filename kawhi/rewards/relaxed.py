"""ChartQA's relaxed match (Masry et al. 2022, section 5.1; code of pix2struct, Qwen-VL and lmms-eval).

A number may be off by 5 % of the target; any other text must be the same but for case.  As in that code: ``45%`` is the
number 0.45, so it matches neither 45 nor the other way round, and a year is a number like any other; both are options
that a reward may set otherwise.  What is added for answers in a box: LaTeX around the answer goes (``\\text{}``,
``\\%``, ``$``, a final full stop), so do thousands separators, a target of 0 asks for a number that is exactly 0, and a
list in brackets is compared element by element.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal

from kawhi.rewards.chart_text import elements, number, tidy
from kawhi.rewards.limits import MAX_CHARACTERS

TOLERANCE = Decimal("0.05")
YEARS, PERCENT = ("relaxed", "exact"), ("quantity", "either")

_YEAR = re.compile("1[5-9][0-9]{2}|20[0-9]{2}")
# Decimal, because in binary 0.105 is more than 5 % from 0.1; wide enough for any number that is short enough to judge.
_EXACT = Context(prec=2 * MAX_CHARACTERS)


def relaxed_match(prediction: str, target: str, years: str = "relaxed", percent: str = "quantity") -> bool:
    """Whether an answer matches a ground truth within ChartQA's tolerance.

    Args:
        prediction: of more than ``MAX_CHARACTERS`` characters it matches nothing.
        years: ``relaxed`` as any number, or ``exact``: a target from 1500 to 2099 is met by the same number alone.
        percent: ``quantity``: 45% is 0.45; or ``either``: beside a number without the sign it may also be 45.
    """
    if len(prediction) > MAX_CHARACTERS:
        return False
    expected, given = _elements(target), _elements(prediction)
    if expected is None or given is None:
        return expected is given is None and _matches(prediction, target, years, percent)
    pairs = zip(given, expected, strict=False)
    return len(given) == len(expected) and all(_matches(*pair, years, percent) for pair in pairs)


def _elements(text: str) -> list[str] | None:
    return elements(tidy(text))


def _matches(prediction: str, target: str, years: str, percent: str) -> bool:
    prediction, target = tidy(prediction), tidy(target)
    value, expected = number(prediction), number(target)
    if value is None or expected is None:
        return _words(prediction) == _words(target)
    if years == "exact" and _YEAR.fullmatch(target):
        return value == expected
    given, own = prediction.endswith("%"), target.endswith("%")
    if given == own or (percent == "either" and _near(value, expected)):
        return _near(value, expected)
    return _near(value.scaleb(-2 * given, _EXACT), expected.scaleb(-2 * own, _EXACT))


def _near(value: Decimal, expected: Decimal) -> bool:
    return abs(_EXACT.subtract(value, expected)) <= _EXACT.multiply(TOLERANCE, abs(expected))


def _words(text: str) -> str:
    return re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))|\$", "", text).lower()
