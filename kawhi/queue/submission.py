"""Submissions: which cells were given to Slurm, found again by the comment that their jobs carry.

``<runs>/.slurm/<id>/submission.json`` is written before anything is queued, and Slurm keeps the comment, so a launcher
that dies in between leaves no job of which nobody knows what it works on.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kawhi.base import locks
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.queue.slurm import Task

FOLDER = ".slurm"
TABLE = "table"


@dataclass(frozen=True)
class Submission:
    """A submission's folder, and the copy of the code that its jobs run."""

    path: Path
    snapshot: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def queued(self, jobs: dict[str, str]) -> None:
        """Notes the job ids for people; the queue is found by its comments."""
        write_json(self.path / "jobs.json", jobs)

    def comment(self, array: str) -> str:
        return f"kawhi:{self.id}:{array}"


def new(
    runs: Path, *, folder: str, command: Sequence[str], snapshot: Path, arrays: dict[str, dict[str, Any]]
) -> Submission:
    """Writes ``submission.json``.

    Args:
        runs: ``paths.runs``.
        folder: the experiment's name.
        arrays: name -> ``part``, ``cells``, relative to ``runs``, and the ``evaluations`` that are asked for of each.
    """
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    submission = Submission(runs / FOLDER / name, snapshot)
    submission.logs.mkdir(parents=True)
    content = {
        "id": submission.id,
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "time": time.time(),
        "command": list(command),
        "folder": folder,
        "snapshot": str(snapshot),
        "arrays": arrays,
    }
    write_json(submission.path / "submission.json", content)
    return submission


@contextmanager
def alone(runs: Path) -> Iterator[None]:
    """Only one launcher at a time looks at the queue and submits, whoever started it and wherever.

    Raises:
        CellError: the folder cannot be written or locked.
    """
    path = runs / FOLDER / "lock"
    with ExitStack() as turn:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            turn.enter_context(locks.alone(path))
        except OSError as error:
            sentence = f"{path} cannot be locked ({error.strerror}): set paths.runs to a folder that you may write to"
            raise CellError(sentence) from error
        yield


def cells_of(runs: Path, task: Task) -> tuple[str, list[Path]] | None:
    """The part a task does and the run directories it works on; ``None`` for a job that is not of these runs."""
    kind, _, rest = task.comment.partition(":")
    name, _, array = rest.partition(":")
    file = runs / FOLDER / name / "submission.json"
    if kind != "kawhi" or not name or not file.is_file():
        return None
    block = _arrays(file).get(array)
    if block is None:
        return None
    cells = [runs / cell for cell in block["cells"]]
    return block["part"], cells if block["part"] == TABLE else cells[task.index or 0 : (task.index or 0) + 1]


@cache
def _arrays(file: Path) -> dict[str, dict[str, Any]]:
    """Of a ``submission.json``, which never changes."""
    return json.loads(file.read_text())["arrays"]


def at_work(runs: Path, tasks: Iterable[Task]) -> dict[tuple[Path, str], Task]:
    """(run directory or evaluation, part) -> the task that is queued for it or works on it; tables left out.

    Of several evaluations of a run directory, one job after the other, the last: who comes next comes after it.
    """
    found = {}
    for task in sorted(tasks, key=lambda task: int(task.array_id)):
        of_these = cells_of(runs, task)
        if of_these and of_these[0] != TABLE:
            part, (cell,) = of_these
            found.update({(folder, part): task for folder in (cell, *_evaluations_of(runs, task, cell))})
    return found


def _evaluations_of(runs: Path, task: Task, cell: Path) -> list[Path]:
    _, name, array = task.comment.split(":", 2)
    asked = _arrays(runs / FOLDER / name / "submission.json")[array].get("evaluations", [])
    return [cell / "eval" / each for each in asked[task.index or 0]] if asked else []


def tables_at_work(runs: Path, tasks: Iterable[Task]) -> list[tuple[Task, frozenset[Path]]]:
    """Table jobs in the queue with the cells they wait for."""
    found = ((task, cells_of(runs, task)) for task in tasks)
    return [(task, frozenset(its[1])) for task, its in found if its and its[0] == TABLE]
