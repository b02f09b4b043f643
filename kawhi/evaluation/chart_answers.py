"""The answer that a response gives to a question with a short answer, found by rules.

An answer is, in this order: the last ``\\boxed{}``, the last ``<answer>``, what follows the last "answer is" or
"answer:", the last line.  Nothing before ``</think>`` counts (``visible``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

from kawhi.evaluation.benchmark import visible
from kawhi.rewards.boxed import boxed_answer
from kawhi.rewards.limits import MAX_CHARACTERS

_MARK = re.compile(r"\banswer\b[ *_\"]*(?:is|are|:|=)[ :*_]*", re.IGNORECASE)
# After a full stop a new sentence starts, unless the stop ends an initial ("U.S. Bank").
_NEXT_SENTENCE = re.compile(r"(?<![.\s][A-Za-z])\.\s+(?=[A-Z])")
_IS = re.compile(r"(?:\b(?:is|are|was|were|equals)\b|=)\s*", re.IGNORECASE)
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf)\s*\{([^{}]*)\}")
_MARKUP = re.compile(r"\*\*|`|\\[()\[\]]")
_IN_TEXT = re.compile(r"(?<![\w.,/])[-+−]?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?\s?%?(?![\w/])")
_DIGITS = r"[-+]?(?:[0-9]+(?:,[0-9]{3})*(?:\.[0-9]*)?|\.[0-9]+)"
_NUMBER = re.compile(rf"({_DIGITS})(?:[eE]([-+]?[0-9]{{1,3}}))?")
_POWER = re.compile(rf"(?:({_DIGITS})\s*(?:×|x|\*|\\times|\\cdot)\s*)?10\s*\^\s*\{{?([-+]?[0-9]{{1,3}})\}}?")


def marked_answer(response: str) -> str | None:
    """The answer that the response marks as such; ``None`` where it marks none."""
    text = visible(response)
    if (boxed := boxed_answer(text)) is not None:
        return tidy(boxed)
    before, closed, _ = text.rpartition("</answer>")
    if closed and "<answer>" in before:
        return tidy(before.rpartition("<answer>")[2])
    if marks := list(_MARK.finditer(text)):
        rest = text[marks[-1].end() :].strip()
        if rest:
            return tidy(_NEXT_SENTENCE.split(rest.splitlines()[0])[0])
    return None


def final_answer(response: str) -> str:
    """The marked answer, else the last line; empty where there is neither."""
    marked = marked_answer(response)
    if marked is not None:
        return marked
    lines = visible(response).splitlines()
    return tidy(lines[-1]) if lines else ""


def candidates(response: str) -> list[str]:
    """Readings of the response that a rule may compare with the truth.

    The whole of it, its final answer, what follows the last "is" of that, and the only number of that.  None of them
    depends on the truth.
    """
    answer = final_answer(response)
    after = _IS.split(answer)[-1].strip()
    numbers = _IN_TEXT.findall(after) or _IN_TEXT.findall(answer)
    found = [tidy(visible(response)), answer, tidy(after), *(numbers if len(numbers) == 1 else [])]
    return [each for each in dict.fromkeys(found) if each and len(each) <= MAX_CHARACTERS]


def first_word(response: str, words: Sequence[str]) -> str:
    """Which of some lower-case words, such as yes and no, the response answers with; empty where it is none.

    The word that the marked answer, or the response, opens with; else the only one of them in the marked answer, or in
    the last line that has any.  "Yes or no", "not yes" and the "no" of "no other bar" say neither.
    """
    marked = marked_answer(response)
    if marked is not None:
        return _opening(marked, words) or _only(_said(marked, words))
    lines = visible(response).split("\n")
    if opening := _opening(lines[0], words):
        return opening
    for line in reversed(lines):
        if said := _said(line, words):
            return _opening(line, words) or _only(said)
    return ""


def _only(said: set[str]) -> str:
    return next(iter(said)) if len(said) == 1 else ""


def _opening(piece: str, words: Sequence[str]) -> str:
    """The word that a piece starts with, unless it goes on with "or" or "and" and another of the words."""
    either = "|".join(words)
    found = re.match(rf"[*_`\"'\s]*({either})\b(?!\s*(?:or|and|/)\s*(?:{either})\b)", piece, re.IGNORECASE)
    return found[1].lower() if found else ""


def _said(piece: str, words: Sequence[str]) -> set[str]:
    """Those of the words that a piece says of itself: not after "not", and not the "no" of "no other bar"."""
    either = "|".join(words)
    found = re.findall(rf"(?<!\bnot )\b({either})\b(?!(?<=no)\s+\w)", piece, re.IGNORECASE)
    return {word.lower() for word in found}


def tidy(text: str) -> str:
    """Without the mark-up around an answer: bold, LaTeX, quotes, a final full stop."""
    text = _WRAPPER.sub(r"\1", _MARKUP.sub("", text)).replace("\\%", "%").replace("\\$", "$").strip()
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1].rstrip()
    if len(text) > 1 and text[0] == text[-1] == "$":
        text = text[1:-1].strip()
    if len(text) > 1 and text[0] + text[-1] in ('""', "''", "“”"):
        text = text[1:-1].strip()
    return text


def plain(text: str) -> str:
    """For comparing words: lower case, one space, no LaTeX, no parentheses around it all, Greek letters by name."""
    text = unicodedata.normalize("NFKC", tidy(text)).casefold()
    text = "".join(_name(each) for each in text if each not in "$\\{}")
    text = " ".join(text.split())
    return text[1:-1].strip() if len(text) > 2 and text[0] + text[-1] == "()" else text


def number(text: str) -> Decimal | None:
    """The exact value of ``40,000``, ``-1.5e3``, ``10^-2``, ``3 × 10^2`` or ``12%`` (that is 12); else ``None``."""
    text = tidy(text).replace("−", "-").replace("$", "").rstrip("%").strip()
    if len(text) > MAX_CHARACTERS:
        return None
    found = _POWER.fullmatch(text) or _NUMBER.fullmatch(text)
    if found is None:
        return None
    return Decimal(f"{(found[1] or '1').replace(',', '')}e{found[2] or 0}")


def elements(text: str) -> list[str] | None:
    """The elements of ``[a, 'b, c', d]``; ``None`` for anything else."""
    text = text.strip()
    if len(text) < 2 or text[0] != "[" or text[-1] != "]":
        return None
    inside = text[1:-1].replace('"', "'")
    found = re.findall(r"\s*(?:'([^']*)'(?=\s*(?:,|$))|([^,]+))\s*(?:,|$)", inside)
    return [tidy(quoted or bare) for quoted, bare in found]


def _name(character: str) -> str:
    name = unicodedata.name(character, "")
    return name.split()[-1].lower() if name.startswith("GREEK SMALL LETTER") else character
