"""What a job does around a cell, with a small program in place of the cell and of ``scontrol``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kawhi.base.files import write_json
from tests.cells import ROOT, until

JOB = """
import sys
from pathlib import Path
from kawhi.cluster import job

job._FAREWELL_SECONDS = 0.1

class Job(job.CellJob):
    def command(self):
        return [sys.executable, "-c", sys.argv[2], str(self.run_directory)]

sys.exit(Job(Path(sys.argv[1]), "train", attempts=2, submission="one").main())
"""
WAIT_FOR_STOP = """
import os, sys, time
open(sys.argv[1] + '/up', 'w')
while not os.path.exists(sys.argv[1] + '/stop'):
    time.sleep(0.05)
"""
STOPS = WAIT_FOR_STOP + "raise SystemExit(75)"
WAIT = "import sys, time\nopen(sys.argv[1] + '/up', 'w')\ntime.sleep(900)"
SCONTROL = """#!/bin/sh
[ -e {folder}/refuse ] && {{ echo no >&2; exit 1; }}
echo "$@" >>{asked}
"""


class Job:
    """A job on a run directory; ``scontrol`` notes what it is asked."""

    def __init__(self, folder: Path):
        self.folder, self.asked = folder / "run", folder / "asked"
        self.folder.mkdir()
        scontrol = folder / "bin" / "scontrol"
        scontrol.parent.mkdir()
        scontrol.write_text(SCONTROL.format(folder=folder, asked=self.asked))
        scontrol.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{scontrol.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SLURM_JOB_ID": "15",
            "SLURM_ARRAY_JOB_ID": "12",
            "SLURM_ARRAY_TASK_ID": "3",
            "SLURMD_NODENAME": "node1",
        }

    def start(self, code: str) -> subprocess.Popen:
        command = [sys.executable, "-c", JOB, str(self.folder), code]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, code: str, number: int | None = None) -> int:
        """The exit code of a job, which may be sent a signal when its cell is up; what it printed is ``output``."""
        process = self.start(code) if number is None else self.up(code)
        if number is not None:
            process.send_signal(number)
        self.output, _ = process.communicate(timeout=600)
        for file in ("up", "stop"):
            (self.folder / file).unlink(missing_ok=True)
        return process.returncode

    def up(self, code: str) -> subprocess.Popen:
        """A job whose cell has said that it is up."""
        process = self.start(code)
        until((self.folder / "up").exists, 600, alive=process)
        return process

    def left(self, time: str) -> None:
        """What squeue says of the job's time."""
        squeue = self.folder.parent / "bin" / "squeue"
        squeue.write_text(f"#!/bin/sh\necho {time}\n")
        squeue.chmod(0o755)

    def diary(self) -> list[dict]:
        return json.loads((self.folder / "jobs.json").read_text())

    def requeued(self) -> list[str]:
        return self.asked.read_text().splitlines() if self.asked.exists() else []


@pytest.fixture
def job(tmp_path) -> Job:
    return Job(tmp_path)


def test_a_cell_that_ends_well(job):
    assert job.run("pass") == 0
    (entry,) = job.diary()
    assert {key: entry[key] for key in ("job", "raw", "part", "node", "ended")} == {
        "job": "12_3",
        "raw": "15",
        "part": "train",
        "node": "node1",
        "ended": "done",
    }
    assert job.requeued() == []


@pytest.mark.parametrize(
    ("code", "number", "status", "ended"),
    [
        ("raise SystemExit(7)", None, 7, "exit code 7"),
        ("import os; os.kill(os.getpid(), 9)", None, 75, "exit code 75, queued again"),
        (STOPS, signal.SIGUSR2, 75, "stopped as Slurm asked, queued again"),
        (WAIT_FOR_STOP, signal.SIGUSR2, 0, "done"),
        (WAIT_FOR_STOP + "raise SystemExit(3)", signal.SIGUSR2, 3, "exit code 3"),
        (WAIT, signal.SIGTERM, 143, "ended by Slurm"),
    ],
    ids=["fails", "is killed", "stops as asked", "is done when asked", "fails when asked", "is cancelled"],
)
def test_what_a_cell_s_end_makes_of_its_job(job, code, number, status, ended):
    assert job.run(code, number) == status
    assert job.diary()[-1]["ended"] == ended
    assert job.requeued() == ["requeue 12_3"] * ended.endswith("queued again")  # scancel must not bring a job back
    assert ("Slurm asked to stop: saving" in job.output) == (number == signal.SIGUSR2)


def test_75_queues_again_as_often_as_stated(job):
    assert [job.run("raise SystemExit(75)") for _ in range(3)] == [75, 75, 75]
    assert [entry["ended"] for entry in job.diary()] == [*["exit code 75, queued again"] * 2, "exit code 75"]
    assert job.requeued() == ["requeue 12_3"] * 2  # of this task alone, not of its array


def test_stops_that_slurm_asks_for_are_not_counted_as_failures(job):
    for step in range(1, 5):
        write_metrics(job.folder, step)
        assert job.run(STOPS, signal.SIGUSR2) == 75
    assert job.requeued() == ["requeue 12_3"] * 4
    assert job.run("raise SystemExit(75)") == 75
    assert len(job.requeued()) == 5


def test_a_job_that_gets_nowhere_ends(job):
    write_metrics(job.folder, 3)
    codes = [job.run(STOPS, signal.SIGUSR2) for _ in range(3)]
    assert codes == [75, 75, 1]
    assert "3 jobs in a row ended at their time limit without one more step" in job.diary()[-1]["ended"]
    assert len(job.requeued()) == 2


def test_an_evaluation_that_gets_nowhere_ends_and_one_that_gets_on_does_not(job):
    """Of a model that was trained, and of an untrained one, which has no steps."""
    write_json(job.folder / "stages" / "train.json", {"seconds": 1})
    responses = job.folder / "eval" / "task" / "responses.jsonl"
    responses.parent.mkdir(parents=True)
    for number in range(1, 5):
        responses.write_text("{}\n" * number)
        assert job.run(STOPS, signal.SIGUSR2) == 75
    assert [job.run(STOPS, signal.SIGUSR2) for _ in range(2)] == [75, 1]
    assert len(job.requeued()) == 5


def test_a_second_job_that_finds_the_cell_taken_leaves_the_first_ones_entry_alone(job):
    first = job.up(STOPS)
    job.environment["SLURM_ARRAY_TASK_ID"] = "4"
    assert job.run("raise SystemExit(1)") == 1
    (job.folder / "stop").touch()
    first.communicate(timeout=600)
    assert [(e["job"], e["ended"]) for e in job.diary()] == [
        ("12_3", "exit code 75, queued again"),
        ("12_4", "exit code 1"),
    ]


@pytest.mark.parametrize(
    ("left", "again"), [("0:00", True), ("0:42", True), ("INVALID", True), ("1:00:00", False), ("1-00:00:00", False)]
)
def test_a_job_that_ran_into_its_time_limit_is_queued_again(job, left, again):
    job.left(left)
    job.run(WAIT, signal.SIGTERM)
    assert job.requeued() == ["requeue 12_3"] * again
    assert job.diary()[-1]["ended"] == ("out of time, queued again" if again else "ended by Slurm")


def test_a_job_out_of_time_that_slurm_does_not_queue_again_says_so(job):
    job.left("0:42")
    (job.folder.parent / "refuse").touch()
    assert job.run(WAIT, signal.SIGTERM) == 143
    assert job.diary()[-1]["ended"].startswith("out of time; could not be queued again")


def test_a_slurm_that_refuses_to_queue_again_is_written_down(job):
    (job.folder.parent / "refuse").touch()
    assert job.run("raise SystemExit(75)") == 75
    assert "could not be queued again: Slurm refused `scontrol requeue 12_3`: no" in job.diary()[-1]["ended"]


def test_the_notice_does_not_kill_the_cell_s_processes(job):
    """Slurm sends it to every process of the step."""
    start = """
import subprocess, sys
child = subprocess.Popen(['sleep', '900'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
open(sys.argv[1] + '/pid', 'w').write(str(child.pid))
"""
    process = job.up(start + WAIT_FOR_STOP + "raise SystemExit(75 if child.poll() is None else 5)")
    child = int((job.folder / "pid").read_text())
    os.kill(child, signal.SIGUSR2)
    process.send_signal(signal.SIGUSR2)
    process.communicate(timeout=600)
    os.kill(child, signal.SIGKILL)
    assert process.returncode == 75


def write_metrics(folder: Path, step: int) -> None:
    lines = "".join(json.dumps({"step": s, "data": {}}) + "\n" for s in range(1, step + 1))
    (folder / "train").mkdir(exist_ok=True)
    (folder / "train" / "metrics-0.jsonl").write_text(lines)
