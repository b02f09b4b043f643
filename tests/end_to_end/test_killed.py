"""SIGKILL of the whole process group in training, merging and evaluating: the next run finishes the cell.

What it finishes with is what an undisturbed run of the same cell gives.
"""

import json
import os
import signal
import time

import pytest

from .conftest import SMALL

pytestmark = pytest.mark.slow


def without_run_block(record: dict) -> dict:
    """A record but for when, where and how fast."""
    return {name: value for name, value in record.items() if name != "run"}


@pytest.mark.timeout(1800)  # a whole cell, and a cell that is started four times
def test_killed_three_times_gives_the_same_record(workspace, tmp_path_factory):
    from .conftest import Workspace

    undisturbed = Workspace(tmp_path_factory.mktemp("undisturbed"))
    done = undisturbed.run(*SMALL)
    assert done.returncode == 0, done.stderr[-3000:]

    other = workspace.folder / "runs" / "adhoc" / "another-cell-000000000000"
    other.mkdir(parents=True)
    (other / "record.json").write_text("untouched")

    workspace.kill_when(workspace.start(*SMALL), lambda status: status.get("stage") == "train" and "step" in status)
    assert_all_ended(workspace)
    for stage in ("merge", "evaluate"):
        workspace.kill_when(workspace.start(*SMALL), lambda status, stage=stage: status.get("stage") == stage)
        assert_all_ended(workspace)
    done = workspace.run(*SMALL)
    assert done.returncode == 0, done.stderr[-3000:]
    assert without_run_block(workspace.record()) == without_run_block(undisturbed.record())
    assert (other / "record.json").read_text() == "untouched"


def test_ctrl_c_leaves_nothing_running_and_nothing_half_written(workspace):
    process = workspace.start(*SMALL)
    deadline = time.monotonic() + 200
    while len(workspace.processes()) < 5:  # Ray and its first workers are there
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) != 0
    assert workspace.processes() == []
    run_directory = workspace.run_directory()
    assert not (run_directory / "record.json").exists()
    for path in run_directory.rglob("*.json"):
        json.loads(path.read_text())
    assert json.loads((run_directory / "status.json").read_text())["stage"] == "stopped"


def assert_all_ended(workspace, seconds: float = 20) -> None:
    """The kernel ends the stage with the harness, Ray's reaper ends Ray's workers; both need a moment."""
    deadline = time.monotonic() + seconds
    while workspace.processes():
        assert time.monotonic() < deadline, f"still running: {workspace.processes()}"
        time.sleep(0.5)
