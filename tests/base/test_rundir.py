"""A run directory survives writers that die, full disks and a second harness."""

from __future__ import annotations

import json
import shlex

import pytest

from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.runs.cell_folders import place_of
from kawhi.runs.identity import cell_hash
from tests.cells import cell


@pytest.fixture
def run_directory(tmp_path):
    return RunDirectory(tmp_path / "run")


def test_the_folder_carries_experiment_name_and_hash(tmp_path):
    asked = cell(tmp_path, "table=table")
    path = place_of(asked).run.path
    assert path.parent == tmp_path / "runs" / "table"
    assert path.name == f"tiny-qwen2.5-vl_grpo_kawhi_tiny_s1-0-{cell_hash(asked)}"
    assert not path.exists()


def test_a_cell_that_another_experiment_made_is_found(tmp_path):
    first = place_of(cell(tmp_path, "table=first")).run
    first.path.mkdir(parents=True)
    assert place_of(cell(tmp_path, "table=second")).run == first
    other = place_of(cell(tmp_path, "table=second", "steps=3")).run
    assert other.path.parent.name == "second"


def test_a_saved_cell_is_the_same_cell(tmp_path):
    asked = cell(tmp_path)
    run_directory = place_of(asked).run
    run_directory.save_config(asked)
    assert cell_hash(run_directory.load_config()) == cell_hash(asked)
    assert "${" not in run_directory.config.read_text()


def test_the_command_is_what_the_cell_was_composed_with_by_who_asked_first(tmp_path):
    words = ("credit=uniform", "+verl_added.trainer.note='a b: c'", "steps=5", f"paths.runs={tmp_path / 'runs'}")
    asked = cell(tmp_path, *words)
    run_directory = place_of(asked).run
    run_directory.save_config(asked)
    assert run_directory.command() is None
    for overrides in (words, ("credit=uniform", "steps=5")):
        run_directory.save_config(asked, overrides)
        program, script, *found = shlex.split(run_directory.command())
        assert (program, script, found) == ("python", "experiments/run.py", list(words[:-1]))
    assert cell_hash(cell(tmp_path, *found)) == cell_hash(asked)


def write_metrics(run_directory, launch: str, *lines) -> None:
    path = run_directory.path / "train" / f"metrics-{launch}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))


def row(step: int, reward: float) -> dict:
    return {"step": step, "data": {"reward": reward}}


def test_there_may_be_no_metrics_yet(run_directory):
    assert run_directory.metrics() == []


def test_a_later_launch_overrides_a_step(run_directory):
    write_metrics(run_directory, "0", row(1, 0.1), row(2, 0.2), row(3, 0.3))
    write_metrics(run_directory, "2-after-2", row(3, 0.33), row(4, 0.4))
    write_metrics(run_directory, "10-after-3", row(4, 0.44))  # the tenth comes after the second
    assert run_directory.metrics() == [
        {"step": 1, "reward": 0.1},
        {"step": 2, "reward": 0.2},
        {"step": 3, "reward": 0.33},
        {"step": 4, "reward": 0.44},
    ]


def test_what_came_after_the_step_that_training_went_back_to_is_gone(run_directory):
    write_metrics(run_directory, "0", *(row(step, 0.1) for step in (1, 2, 3, 4)))
    write_metrics(run_directory, "1-after-1", row(2, 0.2))  # killed before it did steps 3 and 4 again
    assert run_directory.metrics() == [{"step": 1, "reward": 0.1}, {"step": 2, "reward": 0.2}]
    write_metrics(run_directory, "2")  # nothing to resume from, and nothing logged yet
    assert run_directory.metrics() == []


def test_a_torn_last_line_is_ignored(run_directory):
    write_metrics(run_directory, "0", row(1, 0.1), '{"step": 2, "da')
    assert [found["step"] for found in run_directory.metrics()] == [1]


def test_every_launch_gets_a_metrics_file_of_its_own(run_directory):
    files = [run_directory.new_metrics_file(after) for after in (0, 0, 20)]
    assert [file.name for file in files] == ["metrics-0.jsonl", "metrics-1.jsonl", "metrics-2-after-20.jsonl"]


def test_what_is_kept_of_steps_that_are_done_again_goes(run_directory):
    for kind in ("steps", "tokens"):
        for step in (1, 2, 3):
            write_json(run_directory.path / "train" / kind / f"{step:06d}.json", {})
    run_directory.new_metrics_file(after=1)
    for kind in ("steps", "tokens"):
        assert [file.name for file in run_directory.step_files(kind)] == ["000001.json"]


def test_the_merged_metrics_have_a_row_per_step(run_directory):
    write_metrics(run_directory, "0", row(1, 0.1), row(2, 0.1 + 0.2), row(3, 0.3))
    write_metrics(run_directory, "1-after-2", row(3, 0.33), '{"step": 4')
    run_directory.merge_metrics()
    lines = run_directory.merged_metrics.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1, "reward": 0.1},
        {"step": 2, "reward": 0.1 + 0.2},
        {"step": 3, "reward": 0.33},
    ]
    assert run_directory.metrics() == [json.loads(line) for line in lines]  # the merged file is not read again


def test_a_folder_that_another_experiment_makes_meanwhile_is_found(tmp_path):
    ours = RunDirectory(tmp_path / "ours" / "cell-123abc")
    assert ours.existing() == ours
    (tmp_path / "theirs" / "cell-123abc").mkdir(parents=True)
    (tmp_path / "theirs" / "cell-9123abc").mkdir()
    assert ours.existing() == RunDirectory(tmp_path / "theirs" / "cell-123abc")
