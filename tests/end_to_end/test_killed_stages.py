"""A cell that is ended in any of its short stages leaves nothing running and nothing half-written, and goes on.

The long one, training, has its tests in ``test_killed.py``; the cells here start with a finished training.
"""

import json
import os
import shutil
import signal
import time

import pytest

from .conftest import SMALL, TRAINED, Undisturbed, Workspace
from .test_killed import without

pytestmark = pytest.mark.slow

SHORT = ("merge", "record", "evaluate")
INVOKED = ("credit=kawhi", "logger=tensorboard", *SMALL)
ENDED_BY = {
    "killpg": lambda process: os.killpg(process.pid, signal.SIGKILL),
    "interrupt": lambda process: os.killpg(process.pid, signal.SIGINT),
    "terminate": lambda process: process.terminate(),
}


@pytest.fixture
def before(undisturbed, workspace):
    """Makes the cell one that has only finished what comes before a stage."""

    def prepared(stage: str) -> Workspace:
        for name in ("runs", "records", "data"):
            shutil.rmtree(workspace.folder / name, ignore_errors=True)
        original = undisturbed.run_directory()
        run_directory = workspace.folder / "runs" / "none" / original.name
        shutil.copytree(original, run_directory)
        shutil.copytree(undisturbed.folder / "data", workspace.folder / "data")
        # In the order of the stages: the training's record comes before the evaluation.
        undone = {
            "merge": ("record.json", "stages/merge.json", "stages/record.json", "train/merged", "eval"),
            "record": ("record.json", "stages/record.json", "eval"),
            "evaluate": ("eval",),
        }
        if stage == "evaluate":
            (workspace.folder / "records").mkdir()
            shutil.copy(undisturbed.folder / "records" / f"{original.name}.json", workspace.folder / "records")
        for each in ("status.json", "tensorboard", *undone[stage]):
            path = run_directory / each
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return workspace

    return prepared


def goes_on(workspace: Workspace, undisturbed: Undisturbed) -> None:
    workspace.run(*INVOKED)
    assert without(workspace.record(TRAINED), "run") == without(undisturbed.record(), "run")


def all_is_whole(workspace: Workspace) -> None:
    run_directory = workspace.run_directory(TRAINED)
    assert not list(run_directory.glob("eval/*/record.json"))
    for path in run_directory.rglob("*.json"):
        json.loads(path.read_text())


@pytest.mark.parametrize(("stage", "how"), list(zip(SHORT, ENDED_BY, strict=True)))
def test_ended_in_a_stage(before, undisturbed, stage, how):
    for _ in range(5):  # a stage of half a second can be over before it is seen
        workspace = before(stage)
        process = workspace.start(*INVOKED)
        while process.poll() is None and workspace.status().get("stage") != stage:
            time.sleep(0.01)
        ENDED_BY[how](process)
        code = process.wait(timeout=120)
        if code != 0 and workspace.status()["stage"] in (stage, "stopped"):
            break
    assert code == (-signal.SIGKILL if how == "killpg" else 130)
    workspace.all_end()
    all_is_whole(workspace)
    goes_on(workspace, undisturbed)


def test_the_time_limit_of_each_stage(before, undisturbed):
    workspace = before(SHORT[0])
    for stage in SHORT:
        done = workspace.run(*INVOKED, f"scale.limits.{stage}=0.01", code=75)
        assert f"{stage} took longer than its limit of 0.01 s and was ended" in done.stderr
        assert workspace.processes() == []
        all_is_whole(workspace)
    goes_on(workspace, undisturbed)
