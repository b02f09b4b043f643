"""What a job of the cluster does around a cell: keep a diary, heed Slurm's notice, queue again, end as the cell ended.

The cell itself is a child process (:mod:`kawhi.runs.execute`), so that its exit code is one that Slurm can account for.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kawhi import fork_server
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.processes import die_with_parent
from kawhi.base.rundir import RunDirectory
from kawhi.queue import slurm
from kawhi.runs.stages import TRY_AGAIN

NOTICE = signal.SIGUSR2
"""What Slurm sends before a time limit, and before a preemption where the cluster is set up so."""

QUEUED_AGAIN = "queued again"
_ASKED, _LATE = "stopped as Slurm asked", "out of time"
_SLURM_S_STOPS = tuple(f"{why}, {QUEUED_AGAIN}" for why in (_ASKED, _LATE))
_POLL_SECONDS = 0.2
_STANDSTILL = 3
_FAREWELL_SECONDS = 120


@dataclass
class CellJob:
    """A job's work on one cell.

    Attributes:
        run_directory: prepared: its ``config.yaml`` is there.
        part: ``train`` or ``evaluate``.
        attempts: how often exit code 75 queues the job again.
        submission: id of the submission that the job belongs to.
        baseline: evaluations of the untrained model, which must have the paper's scores first.
        evaluations: names of the run directory's evaluations that the job does.
    """

    run_directory: Path
    part: str
    attempts: int
    submission: str
    baseline: Sequence[Path] = ()
    evaluations: Sequence[str] = ()
    _signals: list[int] = field(default_factory=list, repr=False)

    def __call__(self) -> None:
        """As submitit calls it; a failure leaves with the cell's own exit code."""
        if code := self.main():
            sys.exit(code)

    def main(self) -> int:
        """Runs the cell; returns its exit code.

        After a notice, and after exit code 75 while attempts are left, the job has asked Slurm to queue it again; Slurm
        then ends this process.
        """
        for number in (NOTICE, signal.SIGTERM):
            signal.signal(number, self._note)
        diary = Diary(RunDirectory(self.run_directory))
        diary.begin(self.part, self.submission)
        code = self._run(diary)
        step = diary.step()
        if code == 0:
            diary.end("done", step)
            return 0
        if NOTICE in self._signals and code == TRY_AGAIN:
            if diary.standstill(step):
                return self._give_up(diary, step)
            return self._queue_again(diary, _ASKED, code, step)
        if signal.SIGTERM in self._signals:
            # scancel, or a preemption without notice: whether the job runs again is Slurm's to decide, and it decides
            # by how the job ended only if it ended by itself.
            if diary.own()["ended"] is None:
                diary.end("ended by Slurm", step)
            time.sleep(_FAREWELL_SECONDS)
            return 128 + signal.SIGTERM
        if code == TRY_AGAIN and diary.tries() < self.attempts:
            return self._queue_again(diary, f"exit code {code}", code, step)
        diary.end(f"exit code {code}", step)
        return code

    def _note(self, number: int, frame: Any) -> None:
        self._signals.append(number)

    def command(self) -> list[str]:
        """The child that works on the cell."""
        command = [sys.executable, "-m", "kawhi.runs.execute", str(self.run_directory), self.part]
        command += ["--baseline", *map(str, self.baseline)] if self.baseline else []
        return command + (["--evaluations", *self.evaluations] if self.evaluations else [])

    def _run(self, diary: Diary) -> int:
        # A fork server that the submitting process has is none of this job's, which starts its own.
        environment = dict(os.environ)
        if environment.get(fork_server.VARIABLE) != "0":
            environment.pop(fork_server.VARIABLE, None)
        child = subprocess.Popen(
            self.command(), env=environment, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_in_child
        )
        asked = ended = False
        while child.poll() is None:
            if NOTICE in self._signals:
                # Again and again: a cell that has only just started takes what it finds for an old request.
                RunDirectory(self.run_directory).stop_request.touch()
                if not asked:
                    print("Slurm asked to stop: saving", flush=True)
                asked = True
            if signal.SIGTERM in self._signals and not ended:
                ended = True
                child.terminate()
                self._ask_again_if_late(diary)
            time.sleep(_POLL_SECONDS)
        return child.returncode if child.returncode >= 0 else TRY_AGAIN

    def _ask_again_if_late(self, diary: Diary) -> None:
        """Where the notice came too late, or was too short to save.  Slurm leaves a few seconds."""
        if _time_is_up() and not diary.standstill(diary.step()):
            self._ask_again(diary, _LATE, diary.step())

    def _queue_again(self, diary: Diary, why: str, code: int, step: int | None) -> int:
        if self._ask_again(diary, why, step):
            time.sleep(_FAREWELL_SECONDS)  # Slurm ends us; an exit of our own would be taken for the end of the job
        return code

    def _ask_again(self, diary: Diary, why: str, step: int | None) -> bool:
        diary.end(f"{why}, {QUEUED_AGAIN}", step)
        print(f"{why}; {QUEUED_AGAIN}", flush=True)
        try:
            slurm.requeue(slurm.this_job() or "")
        except CellError as error:
            diary.end(f"{why}; could not be queued again: {error}", step)
            print(f"error: {error}", file=sys.stderr)
            return False
        return True

    def _give_up(self, diary: Diary, step: int | None) -> int:
        sentence = (
            f"{_STANDSTILL} jobs in a row ended at their time limit without one more step or response: raise "
            "scale.slurm.minutes or scale.slurm.notice"
        )
        diary.end(sentence, step)
        print(f"error: {sentence}", file=sys.stderr)
        return 1


def _time_is_up() -> bool:
    try:
        return slurm.time_is_up(slurm.this_job() or "")
    except CellError:
        return False  # a Slurm that is busy, or none: the job ends as it was told to


def _in_child() -> None:
    die_with_parent()
    signal.signal(NOTICE, signal.SIG_IGN)  # it goes to every process of a step, and who does not know it dies of it


class Diary:
    """``jobs.json`` of a run directory: which jobs worked on the cell, and how each ended."""

    def __init__(self, run: RunDirectory):
        self.run, self.time = run, time.time()

    def entries(self) -> list[dict[str, Any]]:
        return json.loads(self.run.attempts.read_text()) if self.run.attempts.exists() else []

    def begin(self, part: str, submission: str) -> None:
        environment = os.environ
        entry = {
            "job": slurm.this_job(),
            "raw": environment.get("SLURM_JOB_ID"),
            "part": part,
            "node": environment.get("SLURMD_NODENAME"),
            "submission": submission,
            "log": _log(),
            "time": self.time,
            "step": None,
            "ended": None,
        }
        write_json(self.run.attempts, [*self.entries(), entry])

    def end(self, how: str, step: int | None) -> None:
        entries = self.entries()
        self.own(entries).update(ended=how, step=step, kept=self.kept())
        write_json(self.run.attempts, entries)

    def own(self, entries: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        """This job's entry: not always the last one, since a job that finds the cell taken writes one, too."""
        found = self.entries() if entries is None else entries
        return next(entry for entry in reversed(found) if entry["time"] == self.time)

    def step(self) -> int | None:
        """The last step that was logged."""
        rows = self.run.metrics()
        return rows[-1]["step"] if rows else None

    def kept(self) -> list[int]:
        """How much a job that is stopped leaves to the next one, beside checkpoints: stages, responses, verdicts."""
        run = self.run.path
        files = [file for pattern in ("stages/*.json", "eval/**/*.json*") for file in run.glob(pattern)]
        return [len(files), sum(file.stat().st_size for file in files)]

    def tries(self) -> int:
        """How often this job was queued again for exit code 75."""
        job = self.own()["job"]
        return sum(e["job"] == job and str(e["ended"]).startswith(f"exit code {TRY_AGAIN}") for e in self.entries())

    def standstill(self, step: int | None) -> bool:
        """Whether this job and those before it were stopped where the first of them was."""
        own, here = self.own(), (step, self.kept())
        before = [e for e in self.entries() if e["job"] == own["job"] and str(e["ended"]) in _SLURM_S_STOPS]
        recent = before[-(_STANDSTILL - 1) :]
        return len(recent) == _STANDSTILL - 1 and all((e["step"], e.get("kept")) == here for e in recent)


def _log() -> str | None:
    """The file that this job's errors go to."""
    if "SUBMITIT_FOLDER" not in os.environ:
        return None
    from submitit.core.job_environment import JobEnvironment

    return str(JobEnvironment().paths.stdout)
