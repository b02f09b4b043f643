"""Half-made run directories and queues."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import EVALUATED, STAGES
from kawhi.queue.slurm import Task
from kawhi.runs.cell_folders import Place


def task(job_id: str = "7_0", comment: str = "", state: str = "PENDING") -> Task:
    """A task of the queue."""
    array, _, index = job_id.partition("_")
    place = int(index) if index else None
    return Task(job_id, array, place, state, comment, "", "Resources")


def run_directory(folder: Path, *, study: str = "training", until: str | None = None) -> RunDirectory:
    """With the markers of all stages up to and including ``until``; with a record after the last one."""
    run = RunDirectory(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stages = STAGES[study]
    for stage in stages[: stages.index(until) + 1] if until else ():
        write_json(run.stage(stage), {"seconds": 1})
    if stages and until == stages[-1]:
        write_json(run.record, {})
    return run


def place(
    folder: Path,
    *,
    study: str = "training",
    until: str | None = None,
    evaluations: Sequence[str] = ("task-1",),
    done: Sequence[str] = (),
) -> Place:
    """A run directory with evaluations, where the study has any, and a record of those that are done."""
    run = run_directory(folder, study=study, until=until)
    asked = tuple(map(run.evaluation, evaluations)) if study in EVALUATED else ()
    for each in asked:
        if each.path.name in done:
            write_json(each.record, {})
    return Place(run, study, asked)


def queue(*tasks: tuple[Place, str, Task]) -> dict[tuple[Path, str], Task]:
    """What :func:`kawhi.queue.submission.at_work` finds of these."""
    found = {}
    for its, part, task in tasks:
        folders = [its.run, *(its.evaluations if part == "evaluate" else ())]
        found.update({(folder.path, part): task for folder in folders})
    return found
