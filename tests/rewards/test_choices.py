"""Letters and texts of multiple choice."""

from __future__ import annotations

import numpy as np
import pytest

from kawhi.rewards.choices import choices_of, known_choices, letter_and_text, several_letters

EXPECTED = {"A": "12", "B": "15", "C": "18"}


@pytest.mark.parametrize(
    "question",
    [
        "How long is AB?\nChoices:\n(A) 12\n(B) 15\n(C) 18",
        "How long is AB?\nChoices:\nA. 12\nB. 15\nC. 18\nGive the letter.",
        "How long is AB?\nOptions:\nA: 12\nB: 15\nC: 18",
        "How long is AB? Choices: (A) 12 (B) 15 (C) 18",
        "How long is AB?\nA. 12\nB. 15\nC. 18",
        "How long is AB?\nA) 12\nB) 15\nC) 18",
        "In triangle ABC, how long is AB? (A) 12, (B) 15, (C) 18.",
        "<image>How long is AB?\nChoices:\n(A) $12$\n(B) $15$\n(C) $18$",
    ],
)
def test_choices_in_a_question(question):
    assert choices_of(question) == EXPECTED
    assert known_choices({"question": question}) == EXPECTED


@pytest.mark.parametrize(
    "question",
    ["How long is AB?", "Point A. is on the line", "(A) is the start, where is (C)?", "Choices:", "What is f(B)?", ""],
)
def test_questions_without_choices(question):
    assert choices_of(question) == {}


@pytest.mark.parametrize(
    "listed",
    [
        ["12", "15", "18"],
        ["A. 12", "B. 15", "C. 18"],
        ["(A) 12", "(B) 15", "(C) 18"],
        ["A: 12", "B: 15", "C: 18"],
        np.array(["12", "15", "18"], dtype=object),  # what verl reads from parquet
        (12, 15, 18),
    ],
)
def test_listed_choices(listed):
    assert known_choices({"choices": listed, "question": "(A) 1 (B) 2"}) == EXPECTED


def test_no_choices():
    assert known_choices(None) == {}
    assert known_choices({}) == {}
    assert known_choices({"choices": None, "question": None}) == {}
    assert known_choices({"choices": [], "question": "How long?"}) == {}
    assert len(known_choices({"choices": [str(number) for number in range(40)]})) == 10


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("B", ("B", "")),
        ("(b)", ("B", "")),
        (r"\text{(B)}", ("B", "")),
        ("Option B.", ("B", "")),
        ("B: 12 cm", ("B", "12 cm")),
        (r"\text{B. }12", ("B", "12")),
        ("(B) Point C", ("B", "Point C")),
        ("a dog", None),
        ("B C", None),
        ("AB", None),
        ("K", None),
        ("5", None),
        ("", None),
    ],
)
def test_letter_and_text(answer, found):
    assert letter_and_text(answer) == found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("A, C", {"A", "C"}),
        ("A and C", {"A", "C"}),
        ("(A), (C)", {"A", "C"}),
        ("A", None),
        ("AC", None),
        ("A, 5", None),
    ],
)
def test_several_letters(answer, found):
    assert several_letters(answer) == found
