"""A sweep on a real Slurm: it fills its table, whatever happens to its jobs, and nothing is run twice."""

from __future__ import annotations

import json

import pytest

from tests.slurm.story import STEPS, tell

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]  # four starts of verl in a row


@pytest.fixture(scope="module")
def sweep(lab, tmp_path_factory):
    return tell(lab, tmp_path_factory.mktemp("sweep"))


def test_a_launch_returns_with_what_it_submitted(sweep):
    assert "2 cells: 0 done, 0 queued or running already, 2 submitted" in sweep.seen["first"]
    for line in ("train: 2 jobs", "evaluate-trained: 2 jobs, each after its training", "table, after all"):
        assert line in sweep.seen["first"]


def test_a_cell_that_failed_shows_as_failed(sweep):
    accounts = list(sweep.seen["accounts"].values())
    assert accounts[0] == ("FAILED", "1:0")
    shown = sweep.seen["status"].stdout
    assert "failed" in shown
    assert "Is a directory" in shown


def test_the_table_waits_for_it(sweep):
    assert sweep.seen["tables before"] == []


@pytest.mark.parametrize("name", ["kawhi", "uniform"])
def test_every_step_is_in_the_metrics_once(sweep, name):
    run = sweep.run_directory(name)
    rows = [json.loads(line) for line in (run / "train" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert json.loads((run / "record.json").read_text())["steps"] == STEPS
    assert len(json.loads((run / "record.json").read_text())["training"]["reward"]) == STEPS


def test_what_happened_to_the_jobs_is_written_down(sweep):
    """Preempted without time to save, its node killed, stopped before its time limit, done; then evaluated."""
    jobs = sweep.jobs("kawhi")
    ended = [job["ended"] for job in jobs]
    # Five seconds are seldom enough to save, or even to write down that they are over.
    assert ended[0] in (None, "ended by Slurm", "stopped as Slurm asked, queued again")
    assert ended[1] is None
    assert ended[2] == "stopped as Slurm asked, queued again"
    assert ended[3:] == ["done", "done"]
    assert len({job["job"] for job in jobs[:4]}) == 1
    assert jobs[1]["node"] != jobs[2]["node"]
    assert [job["part"] for job in jobs] == ["train"] * 4 + ["evaluate"]


def test_fixed_and_launched_again_only_that_cell_runs(sweep):
    assert "2 cells: 1 done, 0 queued or running already, 1 submitted" in sweep.seen["second"]
    assert list(sweep.seen["second accounts"].values()) == [("COMPLETED", "0:0")]
    assert len(sweep.jobs("kawhi")) == 5
    assert [job["ended"] for job in sweep.jobs("uniform")] == ["exit code 1", "done", "done"]


def test_the_table_is_filled(sweep):
    text = (sweep.folder / "results" / "tables" / "region_selection.csv").read_text()
    for run in ("uniform", "kawhi"):
        (record,) = sweep.run_directory(run).glob("eval/kawhi_tiny-*/record.json")
        assert f"{json.loads(record.read_text())['result']['score']:.2f}" in text


def test_a_third_launch_submits_nothing(sweep):
    first, table = sweep.seen["third"].splitlines()
    assert first == "2 cells: 2 done, 0 queued or running already, 0 submitted"
    assert table == f"table: {sweep.folder / 'results' / 'tables' / 'region_selection.md'}"
    assert sweep.seen["queue after third"] == []
