"""Rows in each data set's real schema with responses whose scores are known.

``examples(task)`` returns those of ``tests/evaluation/examples/<task without kawhi_>.py``, a module with ``EXAMPLES``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from datasets import Dataset

from kawhi.evaluation.benchmark import load

ADDED = ("row", "descriptive_number")
"""Columns that a task adds to its data set."""


@dataclass(frozen=True)
class Example:
    """One row, one response, and what has to come out.

    Attributes:
        doc: a row in the data set's schema, with PIL images where the data set has images.
        response: the policy's.
        rule: the rule's score.
        replies: what a judge replies to the questions, in their order; empty where none is asked.
        score: the final score.
    """

    doc: Mapping[str, Any]
    response: str
    rule: float
    score: float
    replies: Sequence[str] = ()


def examples(task: str) -> list[Example]:
    return import_module(f"tests.evaluation.examples.{task.removeprefix('kawhi_')}").EXAMPLES


def tasks() -> list[str]:
    """Every task that has examples."""
    files = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    return [f"kawhi_{file.stem}" for file in files]


def published(task: str) -> Dataset:
    """The rows of a task's examples as they are before the task adds to them."""
    module = import_module(f"tests.evaluation.examples.{task.removeprefix('kawhi_')}")
    docs = {load(task).facts(example.doc)["id"].split("/")[0]: example.doc for example in examples(task)}
    rows = getattr(module, "ROWS", docs.values())
    bare = [{key: value for key, value in row.items() if key not in ADDED} for row in rows]
    return Dataset.from_list(bare, features=getattr(module, "FEATURES", None))
