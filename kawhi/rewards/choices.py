"""Multiple choice: letters in their many spellings, and the texts behind them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kawhi.rewards.latex import plain_text, tidy

_LETTERS = "ABCDEFGHIJ"
_PREFIX = re.compile(r"^(?:the\s+)?(?:correct\s+|right\s+|final\s+)*(?:option|choice|answer)s?\s*(?:is)?\s*:?\s*", re.I)
_BARE = re.compile(r"\(?\s*([A-Ja-j])\s*\)?\s*[.:]?")
_WITH_TEXT = re.compile(r"(?:\(\s*([A-J])\s*\)\s*[.:]?|([A-J])\s*[.:)])\s*(.+)")
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
        texts = _without_labels([str(choice) for choice in listed][: len(_LETTERS)])
        return {letter: tidy(text) for letter, text in zip(_LETTERS, texts, strict=False)}
    return choices_of(str(extra_info.get("question") or ""))


def _without_labels(texts: list[str]) -> list[str]:
    """The texts without their letters, if each has the one of its place."""
    labels = list(filter(None, map(_LINE_LABEL.match, texts)))
    letters = "".join(label[1] or label[2] for label in labels)
    if len(labels) < len(texts) or not _LETTERS.startswith(letters):
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
        if len(marks) < len(_LETTERS) and (found[1] or found[2]) == _LETTERS[len(marks)]:
            marks.append((_LETTERS[len(marks)], found.start(), found.end()))
    if len(marks) < 2:
        return {}
    ends = [start for _, start, _ in marks[1:]] + [len(text)]
    texts = {
        letter: tidy(text[begin:end].strip().split("\n")[0].rstrip(" ,;"))
        for (letter, _, begin), end in zip(marks, ends, strict=True)
    }
    return texts if all(texts.values()) else {}  # a label that stands for nothing is a point of the figure


def letter_and_text(answer: str) -> tuple[str, str] | None:
    """The letter an answer names and what it says beside it; ``None`` if it does not name exactly one.

    ``B``, ``(b)``, ``B.``, ``Option B``, ``\\text{B}``, ``B: 12 cm``, ``(B) 12 cm``; not ``A or B`` or ``a dog``.
    """
    plain = _PREFIX.sub("", plain_text(answer)).strip()
    bare = _BARE.fullmatch(plain)
    if bare:
        return bare[1].upper(), ""
    found = _WITH_TEXT.fullmatch(plain)
    if found is None:
        return None
    return found[1] or found[2], found[3].strip()


def names_another(rest: str) -> bool:
    """Whether the words beside a letter hold a second letter: ``(A) or (B)`` is a bet on both."""
    return re.search(r"(?<![A-Za-z\\])[A-J](?![A-Za-z])", rest) is not None


def several_letters(answer: str) -> frozenset[str] | None:
    """The letters of ``A, C`` or ``A and C``; ``None`` for anything else."""
    plain = _PREFIX.sub("", plain_text(answer)).strip()
    return frozenset(re.findall("[A-J]", plain)) if _SEVERAL.fullmatch(plain) else None
