"""What CharXiv's two benchmarks share: the questions' texts, the judge's fields and what text is the same by rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from kawhi.evaluation.benchmark import Facts, Outcome, one_image
from kawhi.evaluation.parsing import json_object, whole_number
from kawhi.rewards.chart_text import elements, number, plain

DATA = {
    "dataset_path": "princeton-nlp/CharXiv",
    "test_split": "validation",
    "dataset_kwargs": {"revision": "f441eb632fc62f6f777830a0f47619e6e86459b0"},
}
images = one_image("image")


@cache
def templates(kind: str) -> dict[int, str]:
    """``descriptive``: template number -> question; ``reasoning``: answer type -> question."""
    return yaml.safe_load((Path(__file__).parent / "charxiv_questions.yaml").read_text())[kind]


def figure(doc: Mapping[str, Any]) -> str:
    """The figure's number, from ``images/<number>.jpg``."""
    return PurePosixPath(doc["figure_path"]).stem


def _extracted(value: Any) -> str:
    """What a judge names as the extracted answer: a JSON scalar, or a list of scalars.

    Raises:
        ValueError: something else.
    """
    if isinstance(value, list):
        return ", ".join(map(_extracted, value))
    if isinstance(value, dict):
        raise ValueError(f"{value!r} is not an answer")
    return "" if value is None else str(value)


def graded(
    answer: str, score: str
) -> tuple[Callable[[str], Any], Callable[[Facts, str, Outcome, Sequence[Any]], Outcome]]:
    """How a judge's reply is read and what it means, by the keys of the extracted answer and of the score."""
    parse = json_object({answer: _extracted, score: whole_number(0, 1)})
    return parse, lambda facts, response, outcome, replies: Outcome(float(replies[0][score]), replies[0][answer])


def same_number(given: str, answer: str) -> bool:
    """Both are numbers, of exactly the same value; ``60k`` is one, too."""
    expected = number(answer, scales=True)
    return expected is not None and number(given, scales=True) == expected


def same_numbers(given: str, answer: str) -> bool:
    """The same number, or as many in the same order; a word such as ``inf`` is itself."""
    expected, found = _listed(answer), _listed(given)
    return same_text(given, answer) or (len(found) == len(expected) > 1 and all(map(same_text, found, expected)))


def _listed(text: str) -> list[str]:
    return elements(text) or re.split(r",\s+(?:and\s+)?|\s+and\s+", text)


def same_text(given: str, answer: str) -> bool:
    """The same number, or the same words."""
    return plain(given) == plain(answer) or same_number(given, answer)


def terms(text: str) -> list[str]:
    """The terms between commas."""
    return [plain(each) for each in text.split(",")]
