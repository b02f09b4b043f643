"""Multiple choice: letters in their many spellings, and the texts behind them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kawhi.rewards.latex import inside, plain_text, tidy

LETTERS = "ABCDEFGHIJ"
_PREFIX = re.compile(r"^(?:the\s+)?(?:correct\s+|right\s+|final\s+)*(?:option|choice|answer)s?\s*(?:is)?\s*:?\s*", re.I)
_BARE = re.compile(r"\(?\s*([A-Ja-j])\s*\)?\s*[.:]?")
_WITH_TEXT = re.compile(r"(?:[(\[]\s*([A-J])\s*[)\]]\s*[.:]?|\(\s*([a-j])\s*\)|([A-J])\s*[.:)])\s*(.+)")
# With signs that an expression may have, too: ``B (14 cm)``, ``B - 14 cm``, ``B, 14 cm``, ``B 14 cm``, ``14 cm (B)``.
_BESIDE = re.compile(r"([A-J])(\s?\(|\s?(?:-{1,3}|[,;=])|\s)\s*(.+)|(.*[^A-Za-z(\[])[(\[]\s*([A-J])\s*[)\]]")
_PAIRS = [("<<", ">>"), ("<", ">"), (r"\{", r"\}"), ("{", "}"), ("[", "]"), ("(", ")"), ('"', '"'), ("'", "'")]
# I as a pronoun and A as an article are no letters of a choice.
ALONE = re.compile(r"(?<![A-Za-z\\])(?:[B-HJ]|A(?!\s(?!is\b|and\b|or\b|nor\b)[a-z])|I(?!\s[a-z]))(?![A-Za-z])")
DENIAL = re.compile(
    r"\b(?:not|neither|except|exclud\w+|eliminat\w+|rul\w+ out|wrong|incorrect|false)\b|不是|不选|错|排除",
    re.IGNORECASE,
)
BET = re.compile(r"\W*(?:or|and|maybe|perhaps|possibly|to|或|和)\b|或", re.IGNORECASE)
_SEVERAL = re.compile(r"\(?[A-J]\)?(?:\s*(?:,|;|and|&)+\s*\(?[A-J]\)?)+")
_HEADING = re.compile(r"(?:choices|options)\s*:", re.IGNORECASE)
_LABEL = re.compile(r"(?<![A-Za-z0-9\\])(?:\(([A-J])\)[.:]?|([A-J])(?:[.:)]))(?=\s|\S)")
_LINE_LABEL = re.compile(r"^\s*(?:\(([A-J])\)[.:]?|([A-J])[.:)])", re.MULTILINE)


def known_choices(extra_info: Mapping[str, Any] | None) -> dict[str, str]:
    """The choices of a question by letter, from ``extra_info``; empty if it has none.

    ``choices`` is a list of texts, with or without their letters.  Without it, ``question`` is searched for labels in
    order from A: after "Choices:" or "Options:", else at the starts of lines, else in parentheses.
    """
    if not extra_info:
        return {}
    listed = extra_info.get("choices")
    if listed is not None and len(listed):
        texts = _without_labels([str(choice) for choice in listed][: len(LETTERS)])
        return {letter: tidy(text) for letter, text in zip(LETTERS, texts, strict=False)}
    return choices_of(str(extra_info.get("question") or ""))


def _without_labels(texts: list[str]) -> list[str]:
    """The texts without their letters, if each has the one of its place."""
    labels = list(filter(None, map(_LINE_LABEL.match, texts)))
    letters = "".join(label[1] or label[2] for label in labels)
    if len(labels) < len(texts) or not LETTERS.startswith(letters):
        return texts
    return [text[label.end() :] for text, label in zip(texts, labels, strict=True)]


def choices_of(question: str) -> dict[str, str]:
    """The choices that stand in a question's text, by letter."""
    headings = list(_HEADING.finditer(question))
    if headings:
        return _collect(question[headings[-1].end() :], _LABEL)
    return _collect(question, _LINE_LABEL) or _collect(question, re.compile(r"\(([A-J])\)()"))


def _collect(text: str, label: re.Pattern[str]) -> dict[str, str]:
    """Text after each label that comes next in the alphabet; nothing unless there are two."""
    marks: list[tuple[str, int, int]] = []
    for found in label.finditer(text):
        if len(marks) < len(LETTERS) and (found[1] or found[2]) == LETTERS[len(marks)]:
            marks.append((LETTERS[len(marks)], found.start(), found.end()))
    if len(marks) < 2:
        return {}
    ends = [start for _, start, _ in marks[1:]] + [len(text)]
    texts = {
        letter: tidy(text[begin:end].strip().split("\n")[0].rstrip(" ,;"))
        for (letter, _, begin), end in zip(marks, ends, strict=True)
    }
    return texts if all(texts.values()) else {}  # a label that stands for nothing is a point of the figure


def lettered(choices: Sequence[str]) -> dict[str, str]:
    """The choices by letter."""
    return {chr(ord("A") + i): choice for i, choice in enumerate(choices)}


def listed_choices(question: str, answer: str) -> dict[str, str]:
    """The choices in a question's text, by letter; letters without texts where the right one cannot be found there."""
    choices = choices_of(question)
    return choices if answer in choices else dict.fromkeys(LETTERS[:8], "")


def letter_and_text(answer: str) -> tuple[str, str] | None:
    """The letter an answer names and what it says beside it; ``None`` if it does not name exactly one.

    ``B``, ``(b)``, ``[B]``, ``"B"``, ``B.``, ``Option B``, ``\\text{B}``, ``B: 12 cm``, ``(B) 12 cm``; not ``A or
    B`` or ``a dog``.
    """
    plain = _plain(answer)
    bare = _BARE.fullmatch(plain)
    if bare:
        return bare[1].upper(), ""
    found = _WITH_TEXT.fullmatch(plain)
    if found is None:
        return None
    return (found[1] or found[2] or found[3]).upper(), tidy(found[4])


def letter_beside_text(answer: str) -> tuple[str, str, str] | None:
    """The letter of an answer that may name one, what stands between the two, and the rest; see ``_BESIDE``."""
    found = _BESIDE.fullmatch(_plain(answer))
    if found is None:
        return None
    if found[5]:
        return found[5], "(", tidy(found[4])
    mark = found[2].strip()
    rest = found[3].removesuffix(")") if mark == "(" and found[3].count("(") < found[3].count(")") else found[3]
    return found[1], mark, tidy(rest)


def _plain(answer: str) -> str:
    """A tidy answer without "option" in front and quotes or brackets around it all."""
    plain = plain_text(answer)
    for _ in range(4):
        plain = _PREFIX.sub("", plain).strip()
        for start, end in _PAIRS:
            plain = inside(plain, start, end).strip()
    return plain


def several_letters(answer: str) -> frozenset[str] | None:
    """The letters of ``A, C`` or ``A and C``; ``None`` for anything else."""
    plain = _plain(answer)
    return frozenset(re.findall("[A-J]", plain)) if _SEVERAL.fullmatch(plain) else None
