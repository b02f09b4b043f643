"""Which cells become which arrays of jobs, from the run directories and the queue; nothing is submitted here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import PARTS, stages_of
from kawhi.queue.slurm import Task


def number(count: int, what: str) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{count} {what}{'s' * (count != 1)}"


@dataclass(frozen=True)
class Wanted:
    """One cell of a sweep.

    Attributes:
        study: decides its stages.
        baseline: the untrained model that must have the paper's score before this cell is trained.
    """

    folder: RunDirectory
    study: str
    baseline: RunDirectory | None = None

    @property
    def evaluated(self) -> bool:
        """Whether its study has an evaluation, which is a job of its own."""
        return bool(stages_of(self.study, "evaluate"))

    @property
    def trained(self) -> bool:
        """Whether only its evaluation is left."""
        return all(self.folder.stage(stage).exists() for stage in stages_of(self.study, "train"))


@dataclass(frozen=True)
class Array:
    """Jobs that are submitted together; task k works on ``cells[k]``.

    Attributes:
        name: part of the jobs' name and comment.
        part: what of its cell a task does.
        after_each: array of which task k must succeed before our task k starts.
        after_all: arrays and jobs in the queue that must succeed before any task starts.
    """

    name: str
    part: str
    cells: list[Wanted]
    after_each: str | None = None
    after_all: tuple[str, ...] = ()

    def __str__(self) -> str:
        after = ", each after its training" if self.after_each else ", after others" if self.after_all else ""
        return f"{self.name}: {number(len(self.cells), 'job')}{after}"


@dataclass
class Division:
    """What to do about each cell of a sweep."""

    arrays: list[Array] = field(default_factory=list)
    done: list[Wanted] = field(default_factory=list)
    queued: dict[RunDirectory, list[Task]] = field(default_factory=dict)
    held: list[Wanted] = field(default_factory=list)  # by a process that is no job of Slurm's


def divide(cells: Sequence[Wanted], queue: Mapping[tuple[Path, str], Task]) -> Division:
    """
    Args:
        cells: of a sweep; a folder that comes twice is one cell.
        queue: (run directory, part) -> the task that is queued for it or works on it.
    """
    division = Division()
    missing: list[Wanted] = []
    later: dict[Wanted, Task] = {}
    for cell in {cell.folder: cell for cell in cells}.values():
        tasks = _tasks(cell.folder, queue)
        if cell.folder.record.exists():
            division.done.append(cell)
        elif tasks:
            division.queued[cell.folder] = list(tasks.values())
            if "evaluate" not in tasks and cell.evaluated:
                later[cell] = tasks["train"]
        elif cell.folder.held():
            division.held.append(cell)
        else:
            missing.append(cell)
    division.arrays = [array for array in _arrays(missing, later, queue) if array.cells]
    return division


def _arrays(missing: list[Wanted], later: dict[Wanted, Task], queue: Mapping[tuple[Path, str], Task]) -> list[Array]:
    """In the order in which they are submitted; some of them empty.

    Args:
        missing: cells of which nothing is queued.
        later: cells to evaluate after a task that is queued.
    """
    # Those that are evaluated come first, so that a task has its training's index.
    train = sorted((cell for cell in missing if not cell.trained), key=attrgetter("evaluated"), reverse=True)
    gates, queued = _gates(train, queue)
    new = [Wanted(gate, "baseline") for gate in gates if gate not in queued]
    evaluate = [cell for cell in missing if cell.trained and cell.folder not in gates]
    return [
        Array("baseline", "evaluate", new),
        Array("evaluate", "evaluate", evaluate),
        Array("train", "train", train, after_all=(*["baseline"] * bool(new), *queued.values())),
        Array("evaluate-trained", "evaluate", list(filter(attrgetter("evaluated"), train)), after_each="train"),
        Array("evaluate-later", "evaluate", list(later), after_all=tuple(task.job_id for task in later.values())),
    ]


def _gates(
    train: list[Wanted], queue: Mapping[tuple[Path, str], Task]
) -> tuple[list[RunDirectory], dict[RunDirectory, str]]:
    """Untrained models that have no record yet; the jobs of those that are queued."""
    baselines = dict.fromkeys(cell.baseline for cell in train if cell.baseline)
    gates = [gate for gate in baselines if not gate.record.exists()]
    return gates, {gate: tasks["evaluate"].job_id for gate in gates if "evaluate" in (tasks := _tasks(gate, queue))}


def _tasks(folder: RunDirectory, queue: Mapping[tuple[Path, str], Task]) -> dict[str, Task]:
    """By the part of the cell that they do."""
    return {part: queue[folder.path, part] for part in PARTS if (folder.path, part) in queue}
