"""Which cells become which arrays of jobs, from the run directories and the queue; nothing is submitted here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import stages_of
from kawhi.queue.slurm import Task


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
    train: list[Wanted] = []
    evaluate: list[Wanted] = []
    later: dict[Wanted, Task] = {}
    for cell in {cell.folder: cell for cell in cells}.values():
        tasks = {part: queue[key] for part in ("train", "evaluate") if (key := (cell.folder.path, part)) in queue}
        if cell.folder.record.exists():
            division.done.append(cell)
        elif tasks:
            division.queued[cell.folder] = list(tasks.values())
            if "evaluate" not in tasks and stages_of(cell.study, "evaluate"):
                later[cell] = tasks["train"]
        elif cell.folder.held():
            division.held.append(cell)
        elif all(cell.folder.stage(stage).exists() for stage in stages_of(cell.study, "train")):
            evaluate.append(cell)
        else:
            train.append(cell)
    # Those that are evaluated come first, so that a task has its training's index.
    train.sort(key=lambda cell: not stages_of(cell.study, "evaluate"))
    gates = {c.baseline: None for c in train if c.baseline and not c.baseline.record.exists()}
    queued_gates = [queue[g.path, "evaluate"].job_id for g in gates if (g.path, "evaluate") in queue]
    new_gates = [Wanted(gate, "baseline") for gate in gates if (gate.path, "evaluate") not in queue]
    gate_array = ["baseline"] * bool(new_gates)
    division.arrays = [
        Array("baseline", "evaluate", new_gates),
        Array("evaluate", "evaluate", [cell for cell in evaluate if cell.folder not in gates]),
        Array("train", "train", train, after_all=(*gate_array, *queued_gates)),
        Array("evaluate-trained", "evaluate", [c for c in train if stages_of(c.study, "evaluate")], after_each="train"),
        Array("evaluate-later", "evaluate", list(later), after_all=tuple(task.job_id for task in later.values())),
    ]
    division.arrays = [array for array in division.arrays if array.cells]
    return division
