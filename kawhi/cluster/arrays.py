"""Which cells become which arrays of jobs, from the run directories and the queue; nothing is submitted here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path

from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import PARTS, stages_of
from kawhi.queue.slurm import Task
from kawhi.runs.cell_folders import Place


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

    def folders(self, cell: Wanted) -> list[RunDirectory]:
        """Those of the evaluations that its task does of a cell, else the cell's own."""
        return [*map(cell.folder.evaluation, self.evaluations(cell))] or [cell.folder]

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


Queue = Mapping[tuple[Path, str], Task]
"""(run directory, part), and (evaluation, ``evaluate``) -> the task that is queued for it or works on it."""


def divide(cells: Sequence[Wanted], queue: Queue) -> Division:
    """
    Args:
        cells: of a sweep; those of one place are one cell, and those of one run directory are evaluated together.
    """
    division = Division()
    missing: list[Wanted] = []
    later: list[Wanted] = []
    more: list[Wanted] = []
    for cell in _together(cells):
        tasks = _tasks(cell.folder, queue)
        if cell.place.done:
            division.done.append(cell)
        elif tasks:
            division.queued[cell.folder] = list(tasks.values())
            if "evaluate" in tasks:
                more += _not_queued(cell, queue)
            elif cell.evaluated:
                later.append(cell)
        elif cell.folder.held():
            division.held.append(cell)
        else:
            missing.append(cell)
    arrays = _arrays(missing, later, more, queue)
    division.arrays = [array for array in arrays if array.cells]
    return division


def _together(cells: Iterable[Wanted]) -> list[Wanted]:
    """One for each run directory, with all the evaluations that are asked for of it and of its untrained model."""
    found: dict[RunDirectory, list[Wanted]] = {}
    for cell in cells:
        found.setdefault(cell.folder, []).append(cell)
    together = []
    for own in found.values():
        baselines = [cell.baseline for cell in own if cell.baseline]
        together.append(Wanted(_union([cell.place for cell in own]), _union(baselines) if baselines else None))
    return together


def _union(places: Sequence[Place]) -> Place:
    """Of one run directory, with the evaluations of all."""
    evaluations = dict.fromkeys(each for place in places for each in place.evaluations)
    return replace(places[0], evaluations=tuple(evaluations))


def _not_queued(cell: Wanted, queue: Queue) -> list[Wanted]:
    """The cell with those of its missing evaluations that no job in the queue does, if there are any."""
    asked = tuple(each for each in cell.place.missing if (each.path, "evaluate") not in queue)
    return [replace(cell, place=replace(cell.place, evaluations=asked))] if asked else []


def _arrays(missing: list[Wanted], later: list[Wanted], more: list[Wanted], queue: Queue) -> list[Array]:
    """In the order in which they are submitted; some of them empty.

    Args:
        missing: cells of which nothing is queued.
        later: cells to evaluate after their training, which is queued.
        more: cells to evaluate after an evaluation that is queued: one job at a time works in a folder.
    """
    # Those that are evaluated come first, so that a task has its training's index.
    train = sorted((cell for cell in missing if not cell.trained), key=attrgetter("evaluated"), reverse=True)
    gates = _together(Wanted(cell.baseline) for cell in train if cell.baseline and not cell.baseline.done)
    queued = {gate.folder for gate in gates if _tasks(gate.folder, queue)}
    baseline, missing = _with_rows([gate for gate in gates if gate.folder not in queued], missing)
    asked = [part for gate in gates if gate.folder in queued for part in _not_queued(gate, queue)]
    baseline_more, more = _with_rows(asked, more)
    arrays = [
        Array("baseline", "evaluate", baseline),
        Array("baseline-more", "evaluate", baseline_more, after_any=_jobs(baseline_more, "evaluate", queue)),
    ]
    of_gates = [(each.path, "evaluate") for gate in gates for each in gate.place.missing]
    after = (*(array.name for array in arrays if array.cells), *_job_ids(of_gates, queue))
    return [
        *arrays,
        Array("evaluate", "evaluate", [cell for cell in missing if cell.trained]),
        Array("train", "train", train, after_all=after),
        Array("evaluate-trained", "evaluate", list(filter(attrgetter("evaluated"), train)), after_each="train"),
        Array("evaluate-later", "evaluate", later, after_all=_jobs(later, "train", queue)),
        Array("evaluate-more", "evaluate", more, after_any=_jobs(more, "evaluate", queue)),
    ]


def _with_rows(gates: list[Wanted], cells: list[Wanted]) -> tuple[list[Wanted], list[Wanted]]:
    """Untrained models with all that a sweep asks for of them, and its other cells."""
    folders = {gate.folder for gate in gates}
    rows = [cell for cell in cells if cell.folder in folders]
    return _together([*gates, *rows]), [cell for cell in cells if cell not in rows]


def _jobs(cells: Sequence[Wanted], part: str, queue: Queue) -> tuple[str, ...]:
    """Those in the queue that do this part of the cells."""
    return _job_ids([(cell.folder.path, part) for cell in cells], queue)


def _job_ids(places: Sequence[tuple[Path, str]], queue: Queue) -> tuple[str, ...]:
    return tuple(dict.fromkeys(queue[place].job_id for place in places if place in queue))


def _tasks(folder: RunDirectory, queue: Queue) -> dict[str, Task]:
    """By the part of the cell that they do."""
    return {part: queue[folder.path, part] for part in PARTS if (folder.path, part) in queue}


def dependency_of(array: Array, arrays: Sequence[Array], jobs: Mapping[str, str]) -> str | None:
    """What Slurm is told that an array waits for.

    Args:
        arrays: of the same launch.
        jobs: the ids of those that were submitted before it.
    """
    if array.after_each:
        job = jobs[array.after_each]
        if len(array.cells) > 1:
            return f"aftercorr:{job}"
        # Of an array of one, submitit makes a plain job, which has no index of its own.
        alone = next(len(other.cells) for other in arrays if other.name == array.after_each) == 1
        return f"afterok:{job}" if alone else f"afterok:{job}_0"
    if array.after_any:
        return f"afterany:{':'.join(array.after_any)}"
    ids = [jobs.get(name, name) for name in array.after_all]
    return f"afterok:{':'.join(ids)}" if ids else None
