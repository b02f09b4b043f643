"""What Slurm knows of cells: which jobs wait for them or work on them, and how those ended that did not say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.queue import slurm, submission
from kawhi.queue.slurm import Accounted, Task

ASK_SECONDS = 5
"""How long Slurm may take; without its answer views are drawn from files."""

_MEANT = {
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "it ran out of memory",
    "TIMEOUT": "it hit its time limit",
    "DEADLINE": "it hit its deadline",
    "CANCELLED": "it was cancelled",
    "PREEMPTED": "it was preempted and not queued again",
    "BOOT_FAIL": "its node did not start",
    "REVOKED": "it was revoked",
}


class Cluster:
    """Slurm as far as these runs are concerned; not asked where none of them was ever given to it."""

    def __init__(self, runs: Path, unfinished: Sequence[Path]):
        self.runs = runs
        self.attempts = {path: jobs for path in unfinished if (jobs := read_json(RunDirectory(path).attempts))}
        self.complaint, self.tasks = "", []
        if unfinished and (self.attempts or (runs / submission.FOLDER).is_dir()):
            try:
                self.tasks = slurm.queue(timeout=ASK_SECONDS)
            except CellError as error:
                self.complaint = str(error)
        self._by_cell: dict[Path, list[tuple[str, Task]]] = {}
        for (path, part), task in submission.at_work(runs, self.tasks).items():
            self._by_cell.setdefault(path, []).append((part, task))

    def last_attempt(self, path: Path) -> dict[str, Any]:
        """The last entry of a cell's ``jobs.json``; empty for a cell that no job has worked on."""
        return (self.attempts.get(path) or [{}])[-1]

    def tasks_of(self, path: Path) -> list[tuple[str, Task]]:
        """Parts and tasks that are queued for a cell or work on it, those that run first."""
        return sorted(self._by_cell.get(path, []), key=lambda its: (its[1].state == "PENDING", its[0] == "evaluate"))

    @cached_property
    def submitted(self) -> dict[tuple[Path, str], str]:
        """(run directory, part) -> the task that it was last submitted as."""
        found = {}
        told = [read_json(file) for file in (self.runs / submission.FOLDER).glob("*/submission.json")]
        for content in sorted(filter(None, told), key=lambda content: content["time"]):
            jobs = read_json(self.runs / submission.FOLDER / content["id"] / "jobs.json") or {}
            cells = {name: block for name, block in content["arrays"].items() if block["part"] != submission.TABLE}
            for name in cells.keys() & jobs.keys():
                alone = len(cells[name]["cells"]) == 1  # of one task submitit makes a plain job
                for place, cell in enumerate(cells[name]["cells"]):
                    found[self.runs / cell, cells[name]["part"]] = jobs[name] if alone else f"{jobs[name]}_{place}"
        return found

    def accounts(self, jobs: Iterable[str]) -> dict[str, Accounted]:
        """How jobs ended; empty when Slurm does not answer, of which ``complaint`` then tells."""
        if self.complaint:
            return {}
        try:
            return slurm.accounting(jobs, timeout=ASK_SECONDS)
        except CellError as error:
            self.complaint = str(error)
            return {}


def how_it_ended(account: Accounted) -> str:
    """Slurm's state and exit code in words."""
    code = f", exit code {account.exit_code}" if account.exit_code else ""
    number = f", signal {account.signal}" if account.signal else ""
    meant = f"{_MEANT[account.state]} " if account.state in _MEANT else ""
    return f"{meant}({account.state}{code}{number})" if meant else f"{account.state}{code}{number}"


def read_json(file: Path) -> Any:
    """``None`` for a file that is not there or half written by somebody who does not write atomically."""
    try:
        return json.loads(file.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
