"""ChartQA's relaxed match (Masry et al. 2022, section 5.1; code of pix2struct, Qwen-VL and lmms-eval).

A number may be off by 5 % of the target; any other text must be the same but for case.  As in that code: ``45%`` is the
number 0.45, so it matches neither 45 nor the other way round, and a year is a number like any other.  What is added for
answers in a box: LaTeX around the answer goes (``\\text{}``, ``\\%``, ``$``, a final full stop), so do thousands
separators, a target of 0 asks for a number that is exactly 0, and a list in brackets is compared element by element.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal

from kawhi.rewards.limits import MAX_CHARACTERS

TOLERANCE = Decimal("0.05")

# float() would also take "nan", "1_000" and digits of other scripts.
_NUMBER = re.compile(r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?)\s*(%?)")
_THOUSANDS = re.compile(r"(?<![0-9.,])([0-9]{1,3}(?:,[0-9]{3})+)(?![0-9,])")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf)\s*\{([^{}]*)\}")
# Decimal, because in binary 0.105 is more than 5 % from 0.1; wide enough for any number that is short enough to judge.
_EXACT = Context(prec=2 * MAX_CHARACTERS)


def relaxed_match(prediction: str, target: str) -> bool:
    """Whether an answer matches a ground truth within ChartQA's tolerance.

    A prediction of more than ``MAX_CHARACTERS`` characters matches nothing.
    """
    if len(prediction) > MAX_CHARACTERS:
        return False
    prediction, target = _plain(prediction), _plain(target)
    expected = _elements(target)
    if expected is None:
        return _matches(prediction, target)
    given = _elements(prediction)
    return given is not None and len(given) == len(expected) and all(map(_matches, given, expected))


def _matches(prediction: str, target: str) -> bool:
    number, expected = _number(prediction), _number(target)
    if number is None or expected is None:
        return prediction.lower() == target.lower()
    return abs(_EXACT.subtract(number, expected)) <= _EXACT.multiply(TOLERANCE, abs(expected))


def _number(text: str) -> Decimal | None:
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    number = Decimal(found[1])
    return number.scaleb(-2, _EXACT) if found[2] else number


def _elements(text: str) -> list[str] | None:
    """The elements of ``[a, b]``; ``None`` for anything else."""
    if len(text) < 2 or text[0] != "[" or text[-1] != "]":
        return None
    return [element.strip().strip("'\"") for element in text[1:-1].split(",")]


def _plain(text: str) -> str:
    text = _WRAPPER.sub(r"\1", text.replace("−", "-").replace("\\%", "%").replace("\\$", "").replace("$", "")).strip()
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1].rstrip()
    if text.startswith("["):  # there a comma separates elements
        return text
    return _THOUSANDS.sub(lambda found: found[1].replace(",", ""), text)
