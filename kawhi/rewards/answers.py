"""Whether an answer means the same as the ground truth.

Spelling, units, percentages and choices are settled here, on text; what is left goes to math-verify in the sandbox.
``docs/rewards.md`` says what is accepted and why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import chain, pairwise

from kawhi.rewards import sandbox
from kawhi.rewards.choices import letter_and_text, names_another, several_letters
from kawhi.rewards.latex import as_text, foreign_character, formula, plain_text, tidy
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
# What may hold digits on the left of an equation that only names its value: x_1, S_{12}, f(2).
_NAMING = re.compile(r"m?\s*\\angle\s*\{?[A-Za-z0-9]+\}?|_\{[^{}]*\}|_.|\\[A-Za-z]+|[A-Za-z]\([-0-9.,\s]*\)")
# Of numbers that are not both whole: math-verify's six decimals, but 1e-7 is not 2e-7.
_ROUNDING, _RELATIVE = Decimal("1e-6"), Decimal("1e-5")


def judge(answer: str, truth: str, choices: Mapping[str, str] | None = None, box: Sandbox | None = None) -> Outcome:
    """Verdict on the text of a box.

    Args:
        answer: text that a model wrote; anything at all.
        truth: the ground truth.
        choices: texts by letter, of a multiple-choice question.
        box: where math-verify runs; by default this process's own.

    Returns:
        ``refused`` for an answer beyond the limits or with characters no answer needs; ``unreadable truth`` if the
        ground truth is a formula that cannot be evaluated within them and the answer is not the same text.

    Raises:
        ValueError: the ground truth is empty.
        RuntimeError: the sandbox cannot be started.
    """
    truth, box = tidy(truth) or truth.strip(), box or sandbox.shared()
    if not truth:
        raise ValueError("the ground truth is empty")
    if len(answer) > MAX_CHARACTERS:
        return box.refuse("too long", answer)
    if answer.strip() == truth or tidy(answer) == truth:
        return "right"
    if foreign_character(answer):
        return box.refuse("characters", answer)
    answer = tidy(answer)
    return _judge_tidy(answer, truth, choices or {}, box) if answer else "wrong"


def _judge_tidy(answer: str, truth: str, choices: Mapping[str, str], box: Sandbox) -> Outcome:
    letters = several_letters(truth)
    if letters:
        return "right" if _chosen(answer) == letters else "wrong"
    named = letter_and_text(truth)
    if named and (named[0] in choices if choices else named[0] in plain_text(truth)):
        return _judge_choice(answer, named[0], choices.get(named[0]) or named[1], choices, box)
    given = letter_and_text(answer)
    if given and given[0] in choices:
        return _judge_letter(given[1], choices[given[0]], truth, box)
    return equivalent(answer, truth, box)


def _judge_letter(rest: str, text: str, truth: str, box: Sandbox) -> Outcome:
    """Verdict on an answer that names a choice by its letter, where the ground truth is a choice's text."""
    if as_text(text) != as_text(truth):
        return "wrong"
    return equivalent(rest, truth, box) if rest else "right"


def _chosen(answer: str) -> frozenset[str] | None:
    """The letters of an answer to a question with several right choices, also written as one word."""
    plain = plain_text(answer)
    return frozenset(plain) if re.fullmatch("[A-J]{2,}", plain) else several_letters(answer)


def _judge_choice(answer: str, letter: str, text: str, choices: Mapping[str, str], box: Sandbox) -> Outcome:
    """Verdict where the ground truth is a letter; ``text`` is what it stands for, empty if that is not known."""
    given = letter_and_text(answer)
    if given:
        if given[0] != letter:
            return "wrong"
        if given[1] and text:
            return equivalent(given[1], text, box)  # a letter with another choice's text is a bet on both
        return "wrong" if names_another(given[1]) else "right"
    others = {as_text(other) for name, other in choices.items() if name != letter}
    if not text or as_text(answer) in others - {as_text(text)}:
        return "wrong"
    return equivalent(answer, text, box)


def equivalent(answer: str, truth: str, box: Sandbox) -> Outcome:
    """Verdict on two tidy texts, neither of which is a choice's letter."""
    if _squeezed(answer) == _squeezed(truth):
        return "right"
    expected, unit = split_unit(truth)
    given, own_unit = split_unit(answer, any_letter=not re.search("[A-Za-z]", _COMMAND.sub("", truth)))
    expected, given = _without_common_name(expected, given)
    both = "=" in expected and "=" in given
    truths, _ = _values(expected, whole=both)
    answers, close = _values(given, whole=both)
    one_unit = same_unit(unit, own_unit)
    if one_unit and not close and not set(map(_squeezed, truths)).isdisjoint(map(_squeezed, answers)):
        return "right"
    if any(map(is_words, truths + answers)) or max(len(truth), len(answer)) > MAX_CHARACTERS:
        return "right" if as_text(answer) == as_text(truth) else "wrong"
    return _computed(truths, answers, close, box) if one_unit else "wrong"


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
    if len(expected) == len(given) == 1 and _NAME.fullmatch(left) and _squeezed(left) == _squeezed(own_left):
        return expected[0].strip(), given[0].strip()
    return truth, answer


def _squeezed(text: str) -> str:
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
    """Right side of an equation that names a value; the whole without an equation; ``None`` for one to be solved."""
    first, *others = _EQUALS.split(text)
    if not others or "," in text or r"\le" in text or r"\ge" in text or r"\begin" in text:
        return text
    left = _NAMING.sub("", first)
    if re.search("[0-9]", left) and re.search("[a-z]", left):
        return None
    return others[-1].strip()


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
