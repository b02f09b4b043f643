"""What Slurm says: the queue, the accounting, and requests to it.  The only module that reads Slurm's output."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kawhi.base.errors import CellError

_TIMEOUT = 60
_FIELDS = ("%i", "%F", "%K", "%T", "%k", "%N", "%r")  # in the order of a task's attributes
# Comments are anybody's and may have tabs and line breaks in them.
_RECORD, _FIELD = "\x1e", "\x1f"


@dataclass(frozen=True)
class Task:
    """One job, or one task of an array, that is queued or running.

    Attributes:
        job_id: ``123`` or ``123_4``, what people type.  A task's number of its own is no name for it: that of an
            array's last task is the array's, so a request by it may be one to all tasks.
        array_id: number of the array, or of the job.
        index: place in the array; ``None`` for a job that is none.
        state: Slurm's long name, e.g. ``PENDING``, ``RUNNING``, ``COMPLETING``.
        comment: what the submitter said of it.
        reason: why it waits.
    """

    job_id: str
    array_id: str
    index: int | None
    state: str
    comment: str
    nodes: str
    reason: str


def installed() -> bool:
    """Whether this machine has Slurm's commands."""
    return shutil.which("squeue") is not None and shutil.which("sbatch") is not None


def this_job() -> str | None:
    """What :func:`requeue` calls the job that this process belongs to; ``None`` outside of a job."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID")


def ask(*command: str, timeout: float = _TIMEOUT) -> str:
    """The output of one of Slurm's commands, whatever the user's settings for it are (``SQUEUE_STATES`` and others).

    Raises:
        CellError: it is not installed, does not answer or refuses.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SQUEUE_", "SACCT_"))}
    environment["SLURM_BITSTR_LEN"] = "0"  # else lists of tasks end in "..." after 64 letters
    options: dict[str, Any] = {"env": environment, "stdin": subprocess.DEVNULL, "timeout": timeout}
    try:
        # Anybody's job may have a comment that is no UTF-8.
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", **options)
    except FileNotFoundError as error:
        raise CellError(
            f"{command[0]} is not installed here: type the command on a login node of the cluster"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise CellError(f"Slurm did not answer {command[0]} within {timeout:g} s: ask `scontrol ping`") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise CellError(f"Slurm refused `{' '.join(command)}`: {said or 'no reason given'}")
    return done.stdout


def queue(timeout: float = _TIMEOUT) -> list[Task]:
    """Every task of every user that is queued, running or ending; of arrays one entry per task.

    Raises:
        CellError: Slurm does not answer.
    """
    form = _RECORD + _FIELD.join(_FIELDS)
    command = ("squeue", "--noheader", "--all", "--array", "--format", form)
    records = ask(*command, timeout=timeout).split(_RECORD)[1:]
    tasks = []
    for record in records:
        job_id, array, index, *others = record.rstrip("\n").split(_FIELD)
        tasks.append(Task(job_id, array, int(index) if index.isdigit() else None, *others))
    return tasks


@dataclass(frozen=True)
class Partition:
    """One partition.

    Attributes:
        default: whether jobs go there that name none.
        up: whether it starts jobs.
        nodes: how many it has.
        usable: how many of them are neither down nor drained.
    """

    name: str
    default: bool
    up: bool
    nodes: int
    usable: int

    def __str__(self) -> str:
        return f"{self.name} ({'up' if self.up else 'down'}, {self.usable} of {self.nodes} nodes)"


_UNUSABLE = (
    "down",
    "drain",
    "fail",
    "unk",
    "maint",
    "reboot",
    "power",
    "no_respond",
    "inval",
    "future",
    "planned_down",
)


def partitions(timeout: float = _TIMEOUT) -> dict[str, Partition]:
    """By name.

    Raises:
        CellError: Slurm does not answer.
    """
    found: dict[str, Partition] = {}
    for line in ask("sinfo", "--noheader", "--format", "%P|%a|%D|%T", timeout=timeout).splitlines():
        name, up, number, state = line.split("|")
        usable = 0 if state.lower().startswith(_UNUSABLE) or state.endswith("*") else int(number)
        plain = name.rstrip("*")
        before = found.get(plain, Partition(plain, name.endswith("*"), up == "up", 0, 0))
        found[plain] = replace(before, nodes=before.nodes + int(number), usable=before.usable + usable)
    return found


def settings(timeout: float = _TIMEOUT) -> dict[str, str]:
    """The controller's settings, by name.

    Raises:
        CellError: Slurm does not answer.
    """
    lines = ask("scontrol", "show", "config", timeout=timeout).splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


@dataclass(frozen=True)
class Accounted:
    """What the accounting keeps of a task.  ``exit_code`` is the program's, ``signal`` what ended it or 0."""

    job_id: str
    state: str
    exit_code: int
    signal: int


def accounting(job_ids: Iterable[str], timeout: float = _TIMEOUT) -> dict[str, Accounted]:
    """By ``123_4`` or ``123``, some seconds late; empty where the cluster keeps no accounts.

    Of an array that is asked for by its number, the tasks that have started.

    Raises:
        CellError: Slurm does not answer.
    """
    wanted = set(job_ids)
    if not wanted:
        return {}
    found = {}
    for line in _accounts(sorted({job_id.split("_")[0] for job_id in wanted}), timeout):
        entry, state, codes = line.split("|")
        code, _, number = codes.partition(":")
        started = "[" not in entry
        for job_id in _tasks(entry):
            if job_id in wanted or (started and job_id.split("_")[0] in wanted):
                found[job_id] = Accounted(job_id, state.split()[0], int(code), int(number or 0))
    return found


def _accounts(ids: Sequence[str], timeout: float) -> list[str]:
    """sacct's lines about jobs and arrays.

    Tasks that never ran are kept as one entry, 123_[4-9], which asking for 123_4 does not find; and without a start
    time those that could not have run yet are left out.
    """
    command = ("sacct", "--noheader", "--allocations", "--parsable2", "--starttime", "2000-01-01")
    try:
        text = ask(*command, "--jobs", ",".join(ids), "--format", "JobID,State,ExitCode", timeout=timeout)
    except CellError as error:
        if "accounting storage is disabled" in str(error):
            return []
        raise
    return text.splitlines()


def _tasks(entry: str) -> Iterator[str]:
    """``123``, ``123_4``, or each of ``123_[4-6,9,11-15:2%2]``, of which nothing has started."""
    array, bracket, rest = entry.partition("_[")
    if not bracket:
        yield entry
        return
    for places in rest.rstrip("]").split("%")[0].split(","):
        places, _, every = places.partition(":")
        first, _, last = places.partition("-")
        yield from (f"{array}_{place}" for place in range(int(first), int(last or first) + 1, int(every or 1)))


def time_is_up(job_id: str) -> bool:
    """Whether a running job is within a minute of its time limit.

    Raises:
        CellError: Slurm does not answer or does not know the job.
    """
    left = ask("squeue", "--noheader", "--jobs", job_id, "--format", "%L").strip()
    if left in ("UNLIMITED", "NOT_SET"):
        return False
    days, _, clock = left.rpartition("-")
    parts = [int(part) for part in clock.split(":")] if clock.replace(":", "").isdigit() else [0]
    return not int(days or 0) and all(part == 0 for part in parts[:-1])  # beyond the limit it is INVALID


def requeue(job_id: str) -> None:
    """Ends a running job, or one task of an array, and queues it again under its number.

    Args:
        job_id: ``123`` or ``123_4``, see :func:`this_job`.  The plain number of an array is a request to all its tasks:
            those that run are ended, those that are done are repeated.

    A job that Slurm has queued again by itself, after a preemption, is fine as it is.

    Raises:
        CellError: Slurm refuses.
    """
    try:
        ask("scontrol", "requeue", job_id)
    except CellError as error:
        if "Job is pending execution" not in str(error):
            raise
