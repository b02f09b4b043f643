"""Many cells, and two people who launch them at the same moment; no job starts.

How long a launch takes is for benchmarks/launch_speed.py.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from benchmarks import launch_speed
from kawhi.base.rundir import RunDirectory
from kawhi.queue import slurm, submission

CELLS = 60


@pytest.fixture
def closed(in_lab):
    """The lab with a partition that takes jobs and starts none."""
    in_lab.run("scontrol", "update", "PartitionName=main", "State=DOWN")
    yield in_lab
    in_lab.run("scancel", "--user", "root")
    in_lab.run("scontrol", "update", "PartitionName=main", "State=UP")


def ended(process: subprocess.Popen, code: int = 0) -> str:
    """What it printed."""
    output = process.communicate(timeout=600)[0]
    assert process.returncode == code, output
    return output


def test_two_launches_at_once_submit_every_cell_once(closed, tmp_path):
    sweep = ("table=region_selection", "credit=uniform,kawhi", f"seeds.rollout=range({CELLS // 2})")
    both = [closed.launch(tmp_path, *sweep) for _ in range(2)]
    told = [ended(process) for process in both]
    queue = slurm.queue()
    runs = tmp_path / "results" / "runs"
    for part in ("train", "evaluate"):
        tasks = [task for task in queue if (its := submission.cells_of(runs, task)) and its[0] == part]
        cells = {submission.cells_of(runs, task)[1][0] for task in tasks}
        assert len(tasks) == len(cells) == CELLS
        # What a record says of how to get the cell, noted where it was asked for.
        commands = {RunDirectory(each).command() for each in cells}
        assert len(commands) == CELLS
        assert "python experiments/run.py credit=kawhi seeds.rollout=3" in commands
    assert len(submission.tables_at_work(runs, queue)) == 1
    form = rf"{CELLS} cells: 0 done, (\d+) queued or running already, (\d+) submitted"
    counts = [re.search(form, text) for text in told]
    assert sorted((int(count[1]), int(count[2])) for count in counts) == [(0, CELLS), (CELLS, 0)]


def test_another_evaluation_of_a_training_in_the_queue_comes_after_the_one_that_is_there(closed, tmp_path):
    hot, hotter = ("evaluation.temperature=0.5",), ("evaluation.temperature=0.5,0.7",)
    ended(closed.launch(tmp_path, *hot))
    told = ended(closed.launch(tmp_path, *hotter))
    assert "2 cells: 0 done, 1 queued or running already, 1 submitted" in told
    job = re.search(r"(\d+)  evaluate-more: 1 job, after others\n", told)[1]
    form = ("--noheader", "--jobs", job, "--format", "%E")
    (run,) = (tmp_path / "results" / "runs").glob("*/*_grpo_*")
    first, last = (task for task in slurm.queue() if task.comment.endswith(("evaluate-trained", "evaluate-more")))
    assert closed.run("squeue", *form).stdout.strip() == f"afterany:{first.job_id}(unfulfilled)"
    work = submission.at_work(run.parents[1], slurm.queue())
    names = {folder.name: task.job_id for (folder, _), task in work.items() if folder.parent.name == "eval"}
    assert sorted(names.values()) == [first.job_id, last.job_id] == [first.job_id, job]
    assert {each.path.name for each in RunDirectory(run).evaluations()} == names.keys()
    assert "2 cells: 0 done, 2 queued or running already, 0 submitted" in ended(closed.launch(tmp_path, *hotter))


def test_a_launch_is_measured_beside_composing_alone(closed, tmp_path):
    taken = launch_speed.measure(2, tmp_path, closed.environment)
    assert list(taken) == ["2 cells launched", "2 cells composed, nothing else", "the same launch, all cells queued"]
    assert all(wall > 0 and used > 0 for wall, used in taken.values())
    assert len(slurm.queue()) == 2 * 2 + 1  # training and evaluation of each, and the table


def test_a_mistake_in_the_last_cell_submits_none(closed, tmp_path):
    words = ("credit=uniform,kawhi", "kawhi.options.temperature=0.1,-1.0", "credit.name=x")
    assert ended(closed.launch(tmp_path, *words), 1).startswith("error: ")
    assert closed.squeue() == []
    assert not (tmp_path / "results" / "runs" / ".slurm").exists()


def test_a_partition_that_does_not_exist_is_one_sentence(closed, tmp_path):
    (tmp_path / "site.env").write_text("export SBATCH_PARTITION=nowhere\n")
    output = ended(closed.launch(tmp_path, "study=baseline", f"hydra.launcher.site={tmp_path / 'site.env'}"), 1)
    assert re.search(r"^error: Slurm refused the jobs of evaluate: .*invalid partition", output, re.MULTILINE)
    assert "Traceback" not in output
