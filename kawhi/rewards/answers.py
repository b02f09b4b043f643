"""Whether an answer means the same as the ground truth.

Choices are settled here, values in ``kawhi.rewards.equivalence``; ``docs/rewards.md`` says what is accepted and why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kawhi.rewards import sandbox
from kawhi.rewards.choices import ALONE, BET, DENIAL, LETTERS, letter_and_text, letter_beside_text, several_letters
from kawhi.rewards.equivalence import equivalent, is_words, rounded, squeezed
from kawhi.rewards.latex import as_text, foreign_character, plain_text, tidy
from kawhi.rewards.limits import MAX_CHARACTERS
from kawhi.rewards.sandbox import Outcome, Sandbox
from kawhi.rewards.units import split_unit

_SUBJECT = re.compile(r"^(?:it|they|this|that)\s+(?:(?:is|are)\s+)?", re.IGNORECASE)


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
        return "right" if _several(answer) == letters else "wrong"
    named = letter_and_text(truth)
    if named and (named[0] in choices if choices else named[0] in plain_text(truth)):
        known = choices or dict.fromkeys(LETTERS, "") | {named[0]: named[1]}
        return _judge_choice(answer, named[0], known, box)
    return _judge_text(answer, truth, choices, box)


def _judge_text(answer: str, truth: str, choices: Mapping[str, str], box: Sandbox) -> Outcome:
    """Verdict where the ground truth is a value, or a choice's text."""
    taken = choice_of(answer, choices, box)
    if taken:
        return equivalent(tidy(choices[taken]), truth, box)
    if taken is not None and any(_alike(truth, text) for text in choices.values()):
        return "wrong"
    return equivalent(answer, truth, box)


def _several(answer: str) -> frozenset[str] | None:
    """The letters of an answer to a question with several right choices, also written as one word."""
    plain = plain_text(answer)
    return frozenset(plain) if re.fullmatch("[A-J]{2,}", plain) else several_letters(answer)


def _judge_choice(answer: str, letter: str, choices: Mapping[str, str], box: Sandbox) -> Outcome:
    """Verdict where the ground truth is a letter; texts that are not known are empty."""
    taken = choice_of(answer, choices, box)
    if taken is not None:
        return "right" if taken == letter else "wrong"
    text = tidy(choices[letter])
    return equivalent(answer, text, box) if text else "wrong"


def choice_of(answer: str, choices: Mapping[str, str], box: Sandbox | None = None) -> str | None:
    """The letter of the choice that a tidy answer takes.

    Args:
        choices: texts by letter; empty where they are not known.

    Returns:
        Empty for an answer that contradicts itself or bets on two, such as a letter with another choice's text;
        ``None`` where it names no choice.
    """
    letter, mark, rest = _letter_mark_rest(answer)
    if letter in choices and not rest:
        return letter
    same = [name for name, text in choices.items() if text and _alike(answer, text)]
    if len(same) == 1:
        return same[0]
    if several_letters(answer):
        return ""
    return _beside(letter, mark, rest, choices, box or sandbox.shared()) if letter in choices else None


def _letter_mark_rest(answer: str) -> tuple[str, str, str]:
    named = letter_and_text(answer)
    return (named[0], ".", named[1]) if named else letter_beside_text(answer) or ("", "", "")


def _beside(letter: str, mark: str, rest: str, choices: Mapping[str, str], box: Sandbox) -> str | None:
    """``choice_of`` where a letter stands beside something else."""
    known = {name: tidy(text) for name, text in choices.items() if as_text(text) not in ("", name.lower())}
    own = known.pop(letter, "")
    agrees = _says(rest, own, list(known.values()), box)
    if agrees is None:
        return _beside_words(letter, mark, rest, bool(own))
    return letter if agrees else None if mark == "=" else ""  # A = 5 is the value of a quantity of this name


def _beside_words(letter: str, mark: str, rest: str, known: bool) -> str | None:
    """``_beside`` something that is no choice's text; ``known``: whether its own text is."""
    if mark == "=" or _begins_a_sentence(letter, mark, rest):
        return None
    if _takes_back(letter, rest):
        return ""
    return letter if known or not _is_formula(mark, rest) else None


def _begins_a_sentence(letter: str, mark: str, rest: str) -> bool:
    """Whether A is an article, or I a pronoun."""
    return not mark and letter in "AI" and not BET.match(rest)


def _takes_back(letter: str, rest: str) -> bool:
    """Whether words beside a letter deny it or name another."""
    return bool(BET.match(rest) or DENIAL.search(rest) or set(ALONE.findall(rest)) - {letter})


def _is_formula(mark: str, rest: str) -> bool:
    """Whether a letter may be a quantity in front of this rest: B - 1, not B - 1 cm."""
    return mark in ("", "-") and not re.search("[A-Za-z]{2}", rest)


def _says(rest: str, own: str, others: Sequence[str], box: Sandbox) -> bool | None:
    """Whether what stands beside a letter is its text, and no other choice's; ``None`` where it is neither."""
    texts = [text for text in (own, *others) if text]
    spellings = {rest, _SUBJECT.sub("", rest)}
    for text in texts:
        if any(_alike(spelling, text) for spelling in spellings):
            return text is own
    if _words(rest):
        return None
    return _says_value(rest, own, [text for text in texts if not _words(text)], box)


def _says_value(rest: str, own: str, texts: Sequence[str], box: Sandbox) -> bool | None:
    """``_says`` of a value; one that is nobody's, and not its own rounded, contradicts the letter."""
    for text in texts:
        outcome = equivalent(rest, text, box)
        if outcome != "wrong":
            return text is own and outcome == "right"
    return rounded(rest, own, box) if own in texts else None


def _words(text: str) -> bool:
    return is_words(split_unit(text)[0])


def _alike(one: str, other: str) -> bool:
    """Whether two texts are the same but for spelling; formulas but for spaces."""
    one, other = tidy(one), tidy(other)
    return as_text(one) == as_text(other) and (_words(one) or squeezed(one) == squeezed(other))
