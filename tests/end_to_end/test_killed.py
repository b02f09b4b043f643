"""A cell that is asked to stop, and then killed in training and in evaluating: the next run goes on.

What it ends with is what an undisturbed run of the same cell gives.
"""

import json
import os
import signal

import pytest

from tests.cells import until

from .conftest import SMALL

pytestmark = pytest.mark.slow

TIMING = ("timing", "perf/")
ROLLOUT = ("training/rollout_", "rollout_corr/")
"""How far the rollout's log-probs are from the actor's: in float32, which requests vLLM had in one batch moves the last
digits, and that depends on the machine's load.  What is sampled and trained does not."""


def without(record: dict, *names: str) -> dict:
    return {name: value for name, value in record.items() if name not in names}


def numbers(run_directory) -> list[dict]:
    """The metrics of a finished training but for how fast, a row per step."""
    rows = [json.loads(line) for line in (run_directory / "train" / "metrics.jsonl").read_text().splitlines()]
    return [{name: row[name] for name in row if not any(part in name for part in TIMING)} for row in rows]


def same_numbers(rows: list[dict], expected: list[dict]) -> None:
    """Every metric of every step is the same, to the last digit where the machine's load does not move it."""
    for ours, theirs in zip(rows, expected, strict=True):
        assert ours.keys() == theirs.keys()
        moved = {name: value for name, value in ours.items() if value != theirs[name]}
        assert all(name.startswith(ROLLOUT) for name in moved), moved
        assert moved == pytest.approx({name: theirs[name] for name in moved}, abs=1e-5)


@pytest.mark.timeout(1800)  # a cell that is started four times, and perhaps one that is not disturbed
def test_a_cell_that_is_stopped_and_killed_gives_the_same_record(workspace, request):
    other = workspace.folder / "runs" / "none" / "another-cell-000000000000"
    other.mkdir(parents=True)
    (other / "record.json").write_text("untouched")

    # Asked to stop while it starts: it trains a step, saves, and logs it.
    process = workspace.start(*SMALL, "scale.limits.stop=900")  # a start alone takes minutes beside other tests
    until(lambda: workspace.status().get("stage") == "train", 400, alive=process)
    run_directory = workspace.run_directory()
    (run_directory / "stop").touch()
    assert process.wait(timeout=900) == 75
    assert workspace.processes() == []
    assert workspace.status()["stage"] == "stopped"
    assert workspace.status()["reason"] == "asked to stop after step 1; the same command goes on"
    checkpoints = run_directory / "train" / "checkpoints"
    assert {path.name for path in checkpoints.iterdir()} == {"global_step_1", "latest_checkpointed_iteration.txt"}
    first_step = (run_directory / "train" / "metrics-0.jsonl").read_text()
    assert len(first_step.splitlines()) == 1

    # Killed while it saves step 2; what is half-written is not picked.
    workspace.kill_when(workspace.start(*SMALL), (checkpoints / "global_step_2").exists)

    workspace.kill_when(workspace.start(*SMALL), lambda: workspace.status().get("stage") == "evaluate")
    workspace.run(*SMALL)
    undisturbed = request.getfixturevalue("undisturbed")  # last: by now another worker may have run it
    record, expected = workspace.record(), undisturbed.record()
    apart = ("run", "health", "command")  # when, where and how fast; and in which words it was asked for
    assert without(record, *apart) == without(expected, *apart)
    assert record["health"] == pytest.approx(expected["health"], abs=1e-5)
    same_numbers(numbers(run_directory), numbers(undisturbed.run_directory()))
    assert (run_directory / "train" / "metrics-0.jsonl").read_text() == first_step
    assert (other / "record.json").read_text() == "untouched"


def test_ctrl_c_leaves_nothing_running_and_nothing_half_written(workspace):
    process = workspace.start(*SMALL)
    until(lambda: len(workspace.processes()) >= 5, alive=process)  # Ray and its first workers are there
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) != 0
    assert workspace.processes() == []
    run_directory = workspace.run_directory()
    assert not (run_directory / "record.json").exists()
    for path in run_directory.rglob("*.json"):
        json.loads(path.read_text())
    assert json.loads((run_directory / "status.json").read_text())["stage"] == "stopped"
