"""Which cells become which arrays of jobs, from the run directories and the queue; nothing is submitted here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path

from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import PARTS, stages_of
from kawhi.queue.slurm import Task
from kawhi.runs.places import Place


def number(count: int, what: str) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{count} {what}{'s' * (count != 1)}"


@dataclass(frozen=True)
class Wanted:
    """One cell of a sweep.

    Attributes:
        place: its folders.
        baseline: the untrained model that must have the paper's score before this cell is trained.
    """

    place: Place
    baseline: Place | None = None

    @property
    def folder(self) -> RunDirectory:
        """In which one job works at a time."""
        return self.place.run

    @property
    def evaluated(self) -> bool:
        """Whether there is work after the training, which is a job of its own."""
        return bool(self.place.evaluations) or bool(stages_of(self.place.study, "evaluate"))

    @property
    def trained(self) -> bool:
        """Whether nothing of its training is left."""
        return all(self.folder.stage(stage).exists() for stage in stages_of(self.place.study, "train"))


@dataclass(frozen=True)
class Array:
    """Jobs that are submitted together; task k works on ``cells[k]``.

    Attributes:
        name: part of the jobs' name and comment.
        part: what of its cell a task does.
        after_each: array of which task k must succeed before our task k starts.
        after_all: arrays and jobs in the queue that must succeed before any task starts.
        after_any: jobs in the queue that must have ended, however they ended, before any task starts.
    """

    name: str
    part: str
    cells: list[Wanted]
    after_each: str | None = None
    after_all: tuple[str, ...] = ()
    after_any: tuple[str, ...] = ()

    def evaluations(self, cell: Wanted) -> list[str]:
        """Names of those that its task does of a cell."""
        return [each.path.name for each in cell.place.missing] if self.part == "evaluate" else []

    def __str__(self) -> str:
        others = self.after_all or self.after_any
        after = ", each after its training" if self.after_each else ", after others" if others else ""
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
        cells: of a sweep; those of one place are one cell, and those of one run directory are evaluated together.
        queue: (run directory, part), and (evaluation, ``evaluate``) -> the task that is queued for it or works on it.
    """
    division = Division()
    missing: list[Wanted] = []
    later: dict[Wanted, Task] = {}
    after_others: dict[Wanted, Task] = {}
    for cell in _together(cells):
        tasks = _tasks(cell.folder, queue)
        if cell.place.done:
            division.done.append(cell)
        elif tasks:
            division.queued[cell.folder] = list(tasks.values())
            if "evaluate" not in tasks and cell.evaluated:
                later[cell] = tasks["train"]
            elif "evaluate" in tasks and (asked := _not_queued(cell, queue)):
                after_others[replace(cell, place=replace(cell.place, evaluations=asked))] = tasks["evaluate"]
        elif cell.folder.held():
            division.held.append(cell)
        else:
            missing.append(cell)
    arrays = _arrays(missing, later, queue)
    jobs = tuple(dict.fromkeys(task.job_id for task in after_others.values()))
    arrays.append(Array("evaluate-more", "evaluate", list(after_others), after_any=jobs))
    division.arrays = [array for array in arrays if array.cells]
    return division


def _together(cells: Sequence[Wanted]) -> list[Wanted]:
    """One for each run directory, with all the evaluations that are asked for of it."""
    found: dict[RunDirectory, Wanted] = {}
    for cell in cells:
        before = found.get(cell.folder, cell)
        evaluations = tuple(dict.fromkeys((*before.place.evaluations, *cell.place.evaluations)))
        found[cell.folder] = replace(before, place=replace(before.place, evaluations=evaluations))
    return [*found.values()]


def _not_queued(cell: Wanted, queue: Mapping[tuple[Path, str], Task]) -> tuple[RunDirectory, ...]:
    """Its missing evaluations that no job in the queue does."""
    return tuple(each for each in cell.place.missing if (each.path, "evaluate") not in queue)


def _arrays(missing: list[Wanted], later: dict[Wanted, Task], queue: Mapping[tuple[Path, str], Task]) -> list[Array]:
    """In the order in which they are submitted; some of them empty.

    Args:
        missing: cells of which nothing is queued.
        later: cells to evaluate after a task that is queued.
    """
    # Those that are evaluated come first, so that a task has its training's index.
    train = sorted((cell for cell in missing if not cell.trained), key=attrgetter("evaluated"), reverse=True)
    gates, queued = _gates(train, queue)
    of_gates = {gate.run for gate in gates}
    gates_as_rows = [cell for cell in missing if cell.folder in of_gates]
    new = _together([*(Wanted(gate) for gate in gates if gate not in queued), *gates_as_rows])
    evaluate = [cell for cell in missing if cell.trained and cell.folder not in of_gates]
    return [
        Array("baseline", "evaluate", new),
        Array("evaluate", "evaluate", evaluate),
        Array("train", "train", train, after_all=(*["baseline"] * bool(new), *queued.values())),
        Array("evaluate-trained", "evaluate", list(filter(attrgetter("evaluated"), train)), after_each="train"),
        Array("evaluate-later", "evaluate", list(later), after_all=tuple(task.job_id for task in later.values())),
    ]


def _gates(train: list[Wanted], queue: Mapping[tuple[Path, str], Task]) -> tuple[list[Place], dict[Place, str]]:
    """Untrained models that were not evaluated yet; the jobs of those that are queued."""
    baselines = dict.fromkeys(cell.baseline for cell in train if cell.baseline)
    gates = [gate for gate in baselines if not gate.done]
    tasks = {gate: _tasks(gate.run, queue) for gate in gates}
    return gates, {gate: tasks[gate]["evaluate"].job_id for gate in gates if "evaluate" in tasks[gate]}


def _tasks(folder: RunDirectory, queue: Mapping[tuple[Path, str], Task]) -> dict[str, Task]:
    """By the part of the cell that they do."""
    return {part: queue[folder.path, part] for part in PARTS if (folder.path, part) in queue}
