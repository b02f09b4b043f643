"""Half-made run directories and queues."""

from __future__ import annotations

from pathlib import Path

from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import STAGES
from kawhi.queue.slurm import Task


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
    if until == stages[-1]:
        write_json(run.record, {})
    return run
