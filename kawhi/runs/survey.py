"""Where every cell of an experiment stands, from its files and, where there is a cluster, from Slurm.

The files are the truth about what a cell has done.  Slurm is asked only about what files cannot know: whether a job
still waits or runs, and how a job ended that could not write it down.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import EVALUATION, STAGES
from kawhi.queue import submission
from kawhi.queue.cells import Cluster, how_it_ended, read_json
from kawhi.queue.slurm import Accounted, Task

STATES = ("running", "queued", "failed", "lost", "stopped", "trained", "waiting", "done")
"""What a cell can be, the most urgent first."""

ACTIVE = frozenset(stage for stages in (*STAGES.values(), EVALUATION) for stage in stages)


@dataclass(frozen=True)
class CellState:
    """One cell.

    Attributes:
        path: its run directory.
        state: one of :data:`STATES`.
        shown: the state, or the stage of a cell that runs.
        note: score, reason, or what it waits for.
        status: its ``status.json``; empty before there is one.
        log: where to look when it failed.
        device_hours: what a finished cell took; 0 for others.
        job: the job whose end explains the state, as the accounting calls it.
        awaited: whether Slurm will go on with it without anybody's doing.
    """

    path: Path
    state: str
    shown: str
    note: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    log: Path | None = None
    device_hours: float = 0.0
    job: str | None = None
    awaited: bool = False


@dataclass(frozen=True)
class Survey:
    """What there is to see.

    Attributes:
        cells: by experiment.
        tables: jobs in the queue that will make tables of these cells.
        complaint: why Slurm was not heard; empty when it was, or had nothing to do with these runs.
    """

    cells: dict[str, list[CellState]]
    tables: list[Task]
    complaint: str = ""


def survey(runs: Path, experiment: str = "*") -> Survey:
    """All cells of the experiments that match.

    Args:
        runs: ``paths.runs``.
        experiment: a folder's name, or a pattern.
    """
    runs = runs.resolve()
    paths = _run_directories(runs, experiment)
    states, cluster = states_of(runs, paths)
    grouped: dict[str, list[CellState]] = {}
    for path, state in states.items():
        grouped.setdefault(path.parent.name, []).append(state)
    wanted = set(paths)
    at_work = submission.tables_at_work(runs, cluster.tasks)
    tables = [task for task, folders in at_work if {_run_of(folder) for folder in folders} & wanted]
    return Survey(grouped, tables, cluster.complaint)


def _run_of(folder: Path) -> Path:
    """The run directory of a training's folder, or of an evaluation's."""
    return folder.parents[1] if folder.parent.name == "eval" else folder


def states_of(runs: Path, paths: Sequence[Path]) -> tuple[dict[Path, CellState], Cluster]:
    """Where run directories stand, those included that are not there yet, and what Slurm was heard to say of them."""
    cluster = Cluster(runs, [path for path in paths if not done(RunDirectory(path))])
    return _explained({path: _state(path, cluster) for path in paths}, cluster), cluster


def _run_directories(runs: Path, experiment: str) -> list[Path]:
    folders = (folder for folder in runs.glob(experiment) if not folder.name.startswith("."))
    return sorted(config.parent for folder in folders for config in folder.glob("*/config.yaml"))


def _state(path: Path, cluster: Cluster) -> CellState:
    run = RunDirectory(path)
    if done(run):
        records = [read_json(each.record) or {} for each in (run, *run.evaluations())]
        return CellState(path, "done", "done", scores(records), device_hours=_device_hours(records))
    look = _Look(run, cluster)
    found = look.works() or look.waits() or look.broke_off() or look.rests()
    if found.state == "lost" and ((read_json(run.status) or {}) != look.status or done(run)):
        return _state(path, cluster)  # it ended while we looked
    return found


def done(run: RunDirectory) -> bool:
    """Whether every evaluation that was asked for has its record, and the training, where there is one."""
    evaluations = run.evaluations()
    return all(each.record.exists() for each in evaluations) and (bool(evaluations) or run.record.exists())


class _Look:
    """What the files of an unfinished cell say, beside what Slurm says of it."""

    def __init__(self, run: RunDirectory, cluster: Cluster):
        self.run, self.cluster = run, cluster
        self.status = read_json(run.status) or {}
        said = self.status.get("stage", "waiting")
        self.stage = "trained" if said == "done" and run.record.exists() else said  # more was asked for since
        self.active = self.stage in ACTIVE
        self.last = cluster.last_attempt(run.path)
        self.tasks = cluster.tasks_of(run.path)
        self.job_is_newer = self.last.get("time", 0) > self.status.get("time", 0)  # it has said nothing yet

    def _found(self, state: str, note: str, shown: str = "", **more: Any) -> CellState:
        return CellState(self.run.path, state, shown or state, note, self.status, **more)

    def works(self) -> CellState | None:
        """A cell that a process works on."""
        task = next((task for _, task in self.tasks if task.state != "PENDING"), None)
        starting = self.job_is_newer or self.stage not in ("failed", "stopped")
        if task and starting and (self.active or task.state != "COMPLETING"):  # which has said how it ended
            return self._found("running", f"job {task.job_id} on {task.nodes}", self._stage_or_starting())
        return self._found("running", "", self.stage) if self.active and self.run.held() else None

    def waits(self) -> CellState | None:
        """A cell that Slurm will start."""
        part, task = next(((part, task) for part, task in self.tasks if task.state == "PENDING"), (None, None))
        if task is None or (self.stage == "failed" and part == "evaluate" and task.reason.startswith("Dependency")):
            return None
        note = f"{task.reason} (job {task.job_id})"
        if self.stage == "trained":
            return self._found("trained", f"its evaluation is queued: {note}", awaited=True)
        return self._found("queued", "; ".join(filter(None, [note, self.last.get("ended")])))

    def broke_off(self) -> CellState | None:
        """A cell that nobody works on any more and that has not come to the end of its work."""
        ended = " ".join((self.last.get("ended") or "").split())
        if self.stage in ("failed", "stopped"):
            reason = " ".join(self.status.get("reason", ended).split())
            job = self.last.get("job") if self.stage == "stopped" else None
            return self._found(self.stage, reason, log=_log(self.run, reason, self.last), job=job)
        if not (self.active or self.job_is_newer):
            return None
        if self.cluster.complaint and self.last and not ended:
            note = f"job {self.last['job']}, said {_ago(self.status.get('time', self.last['time']))} ago"
            return self._found("running", note, self._stage_or_starting())
        where = f"in {self.stage}" if self.active else "before its first stage"
        note = f"{where}: {ended or 'nothing works on it; the same command goes on from here'}"
        state = "failed" if ended.startswith("exit code") else "lost"
        return self._found(state, note, log=_log(self.run, "", self.last), job=self.last.get("job"))

    def rests(self) -> CellState:
        """A cell whose turn has not come: what became of the jobs it was given."""
        submitted, path = self.cluster.submitted, self.run.path
        if self.stage == "trained":
            return self._found("trained", "its evaluation is not queued", job=submitted.get((path, "evaluate")))
        job = submitted.get((path, "train")) or submitted.get((path, "evaluate"))  # of a study that trains nothing
        note = f"submitted as job {job}" + ("" if self.cluster.complaint else ", which is gone: launch it again")
        return CellState(path, "waiting", "waiting", note if job else "not started", job=job)

    def _stage_or_starting(self) -> str:
        return self.stage if self.active else "starting"


def _explained(states: dict[Path, CellState], cluster: Cluster) -> dict[Path, CellState]:
    """The states that only Slurm's accounting explains, explained."""
    accounts = cluster.accounts({state.job for state in states.values() if state.job})
    return {path: _with_account(state, accounts.get(state.job or "")) for path, state in states.items()}


def _with_account(state: CellState, account: Accounted | None) -> CellState:
    if account is None or account.state in ("PENDING", "RUNNING", "COMPLETED", "REQUEUED"):
        return state
    how = f"job {account.job_id}: {how_it_ended(account)}"
    if state.state == "trained":
        return replace(state, note=f"its evaluation did not run, {how}")
    if state.state == "stopped":
        return replace(state, note=how)
    where = "never started" if state.state == "waiting" else state.note.partition(":")[0]
    kind = "stopped" if account.state == "CANCELLED" else "failed"
    return replace(state, state=kind, shown=kind, note=f"{where}, {how}")


def _ago(then: float) -> str:
    minutes = max(0.0, time.time() - then) / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"


def scores(records: Sequence[dict[str, Any]]) -> str:
    """The scores of a model's records, or what its study measures instead, in a few words."""
    results = [record["result"] for record in records if "result" in record]
    found = [f"{its['title']} {its['score']:.2f}" for its in results]
    found += [f"{r['run']['timing_s']['timing_s/step']:.1f} s/step" for r in records if r.get("study") == "timing"]
    return ", ".join(found)


def _device_hours(records: Sequence[dict[str, Any]]) -> float:
    """Of a model's records, the first of which is its training's where there is one."""
    trainer = records[0].get("config", {}).get("verl", {}).get("trainer", {})
    devices = trainer.get("n_gpus_per_node", 1) * trainer.get("nnodes", 1)
    seconds = sum(sum(record.get("run", {}).get("seconds", {}).values()) for record in records)
    return seconds * devices / 3600


def _log(run: RunDirectory, reason: str, last: dict[str, Any]) -> Path | None:
    """The log that a reason names, else the job's, else the stage's that was written last."""
    named = [Path(found) for found in re.findall(r"\(log: (.+?)\)", reason)]
    candidates = [*named, *([Path(last["log"])] if last.get("log") else [])]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    return max((run.path / "logs").glob("*.log"), key=lambda log: log.stat().st_mtime, default=None)


def last_lines(log: Path, number: int = 5) -> list[str]:
    """The last lines of a log that say something, without colours."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16384))
        text = file.read().decode(errors="replace")
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    lines = [line.rpartition("\r")[2].rstrip() for line in plain.split("\n")]
    return [line[:240] for line in lines if line.strip()][-number:]


def count(cells: Iterable[CellState]) -> Iterator[tuple[str, int]]:
    """States and how many cells have them; the usual ones also at 0."""
    states = [cell.state for cell in cells]
    for state in ("done", "running", "queued", *(s for s in STATES if s not in ("done", "running", "queued"))):
        number = states.count(state)
        if number or state in ("done", "running", "queued", "failed"):
            yield state, number
