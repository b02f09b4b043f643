"""Whether two texts, neither of them a choice's letter, have the same value: numbers, formulas, units, words."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import chain, pairwise

from kawhi.rewards.latex import as_text, formula, plain_text
from kawhi.rewards.limits import MAX_CHARACTERS
from kawhi.rewards.sandbox import Outcome, Sandbox
from kawhi.rewards.units import same_unit, split_unit

_COMMAND = re.compile(r"\\[A-Za-z]+")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{[a-z]+\}")
_WORD = re.compile(r"[A-Za-z]{3,}")
_FUNCTIONS = frozenset(
    (
        *("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"),
        *("log", "exp", "sqrt", "max", "min", "gcd", "lcm", "lim", "mod", "and"),
    )
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_EQUALS = re.compile(r"(?<![<>!\\])=(?!=)")
_NAME = re.compile(r"(?=.*[A-Za-z])[^+\-*/^<>,;0-9]*(?:_\{?[0-9]+\}?)?\s*")
# What may stand before a value without an equation: "Area: 5", "The area is 5".
_TITLE = re.compile(r"^(?:\\text\s*\{\s*)?[A-Z][A-Za-z ]{2,40}(?::|\bis\b)\s*(?:\}\s*)?(?=[-+\\0-9(])")
_BRACKETS = re.compile(r"[(\[][^()\[\]]*[)\]]")
_OPERATOR = re.compile(r"\\(?:frac|sqrt|pi|cdot|times|div|pm|circ)(?![A-Za-z])")
# What may hold digits on the left of an equation that only names its value: x_1, S_{12}, f(2).
_NAMING = re.compile(r"m?\s*\\angle\s*\{?[A-Za-z0-9]+\}?|_\{[^{}]*\}|_.|\\[A-Za-z]+|[A-Za-z]\([-0-9.,\s]*\)")
# Of numbers that are not both whole: math-verify's six decimals, but 1e-7 is not 2e-7.
_ROUNDING, _RELATIVE = Decimal("1e-6"), Decimal("1e-5")


def equivalent(answer: str, truth: str, box: Sandbox) -> Outcome:
    """Verdict on two tidy texts, neither of which is a choice's letter."""
    if squeezed(answer) == squeezed(truth):
        return "right"
    truth, answer = _TITLE.sub("", truth), _TITLE.sub("", answer)
    expected, unit = split_unit(truth)
    given, own_unit = split_unit(answer, any_letter=not re.search("[A-Za-z]", _COMMAND.sub("", truth)))
    expected, given = _without_common_name(expected, given)
    both = "=" in expected and "=" in given
    truths, _ = _values(expected, whole=both)
    answers, close = _values(given, whole=both)
    one_unit = same_unit(unit, own_unit)
    if one_unit and not close and not set(map(squeezed, truths)).isdisjoint(map(squeezed, answers)):
        return "right"
    if any(map(is_words, truths + answers)) or max(len(truth), len(answer)) > MAX_CHARACTERS:
        return "right" if as_text(answer) == as_text(truth) else "wrong"
    return _computed(truths, answers, close, box) if one_unit else "wrong"


def rounded(answer: str, truth: str, box: Sandbox) -> bool:
    """Whether two tidy texts are numbers within 1 % of each other, in the same unit."""
    (given, own_unit), (expected, unit) = split_unit(answer), split_unit(truth)
    close = [(formula(expected), formula(given))]
    return same_unit(unit, own_unit) and box.compare([(close[0][0],) * 2], close) == "right"


def _computed(truths: list[str], answers: list[str], close: list[tuple[str, str]], box: Sandbox) -> Outcome:
    """Verdict on formulas: right if one of the answers equals one of the truths and all of ``close`` agree."""
    pairs = [pair for e in truths for g in answers for pair in _readings(formula(e), formula(g))]
    if not close and all(map(_NUMBER.fullmatch, chain.from_iterable(pairs))):
        return "right" if any(_same_number(Decimal(e), Decimal(g)) for e, g in pairs) else "wrong"
    return box.compare(pairs, [(formula(left), formula(right)) for left, right in close]) if pairs else "wrong"


def is_words(text: str) -> bool:
    """Whether a tidy text is words or a name, which no algebra may rearrange: ``no`` is not n · o."""
    bare = _COMMAND.sub(" ", plain_text(_ENVIRONMENT.sub(" ", text)))
    letters_only = re.fullmatch(r"[A-Za-z\s{}'\".-]+", bare) and len(re.findall("[A-Za-z]", bare)) > 1
    return bool(letters_only) or any(word.lower() not in _FUNCTIONS for word in _WORD.findall(bare))


def _without_common_name(truth: str, answer: str) -> tuple[str, str]:
    """Both without their left sides, if each is an equation that names its value, and names it alike."""
    left, *expected = _EQUALS.split(truth)
    own_left, *given = _EQUALS.split(answer)
    if len(expected) == len(given) == 1 and _NAME.fullmatch(left) and squeezed(left) == squeezed(own_left):
        return expected[0].strip(), given[0].strip()
    return truth, answer


def squeezed(text: str) -> str:
    """Without ``\\text`` and spaces, except between digits: 1 1/2 is not 11/2."""
    return re.sub(r"(?<![0-9])\s+|\s+(?![0-9])", "", plain_text(text))


def _values(text: str, whole: bool) -> tuple[list[str], list[tuple[str, str]]]:
    """What a text says its value is, and which of those must agree.

    ``AB = 10\\sqrt{3} \\approx 17.3`` says two values that must be close, else it is a bet on both.  ``x = 5`` says 5,
    unless equations are compared as a ``whole``; ``3x + 2 = 5`` says none.
    """
    sides = [side.strip() for side in text.split(r"\approx")]
    if len(sides) > 1 and _NAME.fullmatch(sides[0]):
        del sides[0]
    # A formula and its rounding; two numbers, or a longer chain, would be a bet on all of them.
    if len(sides) > 2 or (len(sides) == 2 and all(_NUMBER.fullmatch(side) for side in sides)):
        return [], []
    known = list(filter(None, sides if whole else map(_value, sides)))
    return (known, list(pairwise(known))) if len(known) == len(sides) else ([], [])


def _value(text: str) -> str | None:
    """Value that an equation names (``x = 5``, ``5 = x``); the whole without one; ``None`` of one to be solved."""
    first, *others = _EQUALS.split(text)
    if not others or "," in _BRACKETS.sub("", text) or r"\le" in text or r"\ge" in text or r"\begin" in text:
        return text
    name, result = (others[0], first) if _constant(first) and not _constant(others[-1]) else (first, others[-1])
    name = _NAMING.sub("", name)
    if re.search("[0-9]", name) and re.search("[a-z]", name):
        return None
    return result.strip()


def _constant(text: str) -> bool:
    """Whether a side of an equation is a number without a name in it."""
    return re.search(r"[0-9]|\\pi", text) is not None and not re.search("[A-Za-z]", _OPERATOR.sub("", text))


def _readings(truth: str, answer: str) -> list[tuple[str, str]]:
    """Pairs to compare: with a percent sign on one side only, as the same figure and as the same quantity."""
    expected, given = _without_percent(truth), _without_percent(answer)
    if (expected is None) == (given is None):
        return [(expected or truth, given or answer)]
    if expected is not None:
        return [(expected, answer), (rf"\frac{{{expected}}}{{100}}", answer)]
    return [(truth, given or ""), (truth, rf"\frac{{{given}}}{{100}}")]


def _without_percent(text: str) -> str | None:
    """The figure before a final percent sign, the only one; else ``None``."""
    return text[:-2].strip() or None if text.endswith(r"\%") and text.count("%") == 1 else None


def _same_number(left: Decimal, right: Decimal) -> bool:
    if left == left.to_integral_value() and right == right.to_integral_value():
        return left == right
    return abs(left - right) <= min(_ROUNDING, _RELATIVE * max(abs(left), abs(right)))
