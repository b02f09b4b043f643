"""A sweep through the command that a user types, and the loop behind it with small processes in place of cells."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time

import pytest

from kawhi.runs import launcher
from kawhi.runs.rundir import RunDirectory, write_json
from kawhi.runs.views import CellView
from tests.cells import ROOT, cell, gone, options, status_file

STRATEGIES = ("uniform", "kawhi", "kawhi_all", "kawhi_random", "kawhi_inverse")


def sweep(folder, *arguments: str) -> subprocess.CompletedProcess:
    """``python experiments/run.py -m ...`` with everything written below ``folder``."""
    paths = [f"paths.{name}={folder / name}" for name in ("runs", "records", "data")]
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), "-m", *arguments, *paths]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)


@pytest.fixture
def finished(tmp_path):
    """The run directories of the region-selection ablation, with their records."""
    cells = [cell(tmp_path, "ablation=region_selection", f"credit={credit}") for credit in STRATEGIES]
    folders = [RunDirectory.of(each) for each in cells]
    for folder in folders:
        write_json(folder.record, {})
    return folders


def test_a_finished_sweep_does_nothing(tmp_path, finished):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = sweep(tmp_path, "ablation=region_selection")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "5 cells: 5 done, 0 to run\n"
    # Wall time on an idle machine; measured so, a busy one does not fail it.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 10
    for folder in finished:
        assert list(folder.path.iterdir()) == [folder.record]
    assert len(list((tmp_path / "runs" / "region_selection").iterdir())) == 5
    assert not (tmp_path / "data").exists()


def test_cells_are_called_by_what_tells_them_apart(tmp_path):
    def names(*lists: tuple[str, ...]) -> list[str]:
        return launcher.labels([cell(tmp_path, *overrides) for overrides in lists])

    assert names(("credit=kawhi",), ("credit=uniform",)) == ["GRPO + KAWHI", "GRPO"]
    assert names(("credit=kawhi",)) == ["GRPO + KAWHI"]
    assert names(("model=tiny_qwen3_vl", "seeds.rollout=1"), ("model=tiny_qwen2_5_vl",)) == [
        "tiny-qwen3-vl, seed 1",
        "tiny-qwen2.5-vl, seed 0",
    ]
    conditions = [("ablation=grounding", f"study.image={image}") for image in ("blank", "true_image")]
    assert names(*conditions) == ["blank", "true_image"]


def test_an_unknown_ablation_is_told_with_those_that_exist(tmp_path):
    done = sweep(tmp_path, "ablation=no_such_thing")
    assert done.returncode != 0
    assert "Could not find 'ablation/no_such_thing'" in done.stderr
    assert all(name in done.stderr for name in options("ablation"))
    assert "Traceback" not in done.stderr + done.stdout


def test_a_model_without_weights_is_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    done = sweep(tmp_path, "ablation=region_selection", f"model.path={tmp_path / 'empty'}")
    assert done.returncode == 1
    expected = (
        f"error: the model folder {tmp_path / 'empty'} has no weights (*.safetensors); set model.path to one that has"
    )
    assert done.stderr == expected + "\n"
    assert done.stdout == ""


def test_a_mistake_in_the_last_cell_starts_none(tmp_path):
    """Two cells are fine; the third has no weights."""
    (tmp_path / "empty").mkdir()
    good = "pkg://kawhi.tiny/checkpoints/qwen2_5_vl"
    done = sweep(tmp_path, "seeds.data=1,2", f"model.path='{good}',{tmp_path / 'empty'}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: the model folder")
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def loop(tmp_path, monkeypatch):
    """Runs pieces of Python as the cells of a sweep; gives the exit code."""
    monkeypatch.setattr(launcher, "_POLL_SECONDS", 0.05)

    def start(overrides):
        errors = tempfile.TemporaryFile()  # noqa: SIM115
        command = [sys.executable, "-c", overrides[0]]
        return subprocess.Popen(command, stderr=errors, cwd=tmp_path, start_new_session=True), errors

    monkeypatch.setattr(launcher, "_start", start)

    def run(codes: dict[str, str], parallel: int = 2) -> int:
        views = [CellView(name, tmp_path / name) for name in codes]
        overrides_of = {tmp_path / name: [code] for name, code in codes.items()}
        return launcher._run(list(overrides_of), overrides_of, views, parallel, "sweep")

    return run


def test_a_cell_that_fails_does_not_stop_the_others(tmp_path, loop, capsys):
    code = loop(
        {
            "a": "import sys; sys.exit('error: no luck')",
            "b": "import time; time.sleep(0.5); raise SystemExit(75)",
            "c": "open('c was here', 'w')",
        }
    )
    assert code == 1  # of the first that failed
    assert (tmp_path / "c was here").exists()
    assert capsys.readouterr().err.splitlines() == ["failed: a: error: no luck", "failed: b: no message"]


def test_the_exit_code_says_that_trying_again_may_help(loop):
    assert loop({"a": "raise SystemExit(75)"}) == 75


def test_a_cell_that_was_killed_counts_as_failed(loop):
    assert loop({"a": "import os; os.kill(os.getpid(), 9)"}) == 1


def test_a_talkative_cell_is_not_held_up(loop):
    """More than a pipe holds."""
    assert loop({"a": "import sys; sys.stderr.write('x' * 500_000)"}) == 0


@pytest.mark.parametrize(("parallel", "patience"), [(1, 0.2), (3, 30)])
def test_as_many_cells_side_by_side_as_asked_for(tmp_path, loop, parallel, patience):
    """A cell counts the others until all three are there or its patience ends."""
    code = f"""
import os, time
from pathlib import Path
Path(f"on-{{os.getpid()}}").touch()
end = time.monotonic() + {patience}
while (seen := len(list(Path().glob("on-*")))) < 3 and time.monotonic() < end:
    time.sleep(0.02)
open("seen", "a").write(f"{{seen}}\\n")
if {parallel} == 1:
    os.remove(f"on-{{os.getpid()}}")
"""
    assert loop(dict.fromkeys("abc", code), parallel=parallel) == 0
    assert (tmp_path / "seen").read_text().split() == [str(parallel)] * 3


def test_an_interrupted_sweep_leaves_no_process(tmp_path, loop, monkeypatch):
    def interrupt(self, running):
        if (tmp_path / "pid").exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(launcher.SweepView, "update", interrupt)
    code = (
        "import os, subprocess, time; child = subprocess.Popen(['sleep', '60'])\n"
        "open('new', 'w').write(f'{os.getpid()} {child.pid}'); os.rename('new', 'pid'); time.sleep(60)"
    )
    assert loop({"a": code}) == 130
    pids = [int(pid) for pid in (tmp_path / "pid").read_text().split()]
    deadline = time.monotonic() + 5  # a killed process needs a moment to go
    while not all(gone(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_progress_is_printed_for_cells_that_run(tmp_path, loop, capsys):
    status_file(tmp_path / "a", "train", step=3, reward=0.5, first_step=1, first_time=40.0)
    assert loop({"a": "import time; time.sleep(0.3)"}) == 0
    assert "cell 1/1 a: train step 3/20 reward 0.500" in capsys.readouterr().out


def test_a_sweep_needs_no_paths(tmp_path):
    """From any folder, with nothing but the sweep's name: paths are relative to where the command is typed."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "experiments" / "run.py"), "-m", "ablation=region_selection", "steps=0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert done.stderr.strip() == "error: steps must be a whole number of at least 1, not 0"
