"""The example rows of every benchmark, which the tests keep, as a file that an evaluation reads in its data's place."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from kawhi.base.checkout import INSTALLED, ROOT
from kawhi.base.errors import CellError
from kawhi.evaluation.benchmark import load


def write_rows(task: str, file: Path) -> int:
    """Writes the rows of a benchmark; returns how many problems they are.

    Raises:
        CellError: the package is installed without its checkout, where the rows are.
    """
    rows = _examples(task).published(task)
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(file)
    process = load(task).process_docs
    return len(process(rows) if process else rows)


def replies(task: str) -> list[str]:
    """A reply that a judge may give in this benchmark, to each of its questions; empty where nobody judges."""
    if not load(task).judged:
        return []
    found = [example.replies for example in _examples(task).examples(task) if example.replies]
    return list(min(found, key=lambda each: sum(map(len, each))))


def _examples(task: str) -> Any:
    if INSTALLED:
        raise CellError(f"the example rows of {task} are in the checkout, not in the installed package: rehearse there")
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    return import_module("tests.evaluation.examples")
