"""A sweep through the command that a user types, and the loop behind it with small processes in place of cells."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from kawhi import fork_server
from kawhi.base.devices import Devices, gpus_needed, visible_gpus
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.resources import GIB
from kawhi.base.rundir import RunDirectory
from kawhi.runs import launcher
from kawhi.runs.cell_folders import Place, place_of
from kawhi.runs.composing import labels
from kawhi.runs.views import CellView
from tests.cells import ROOT, cell, finish, gone, options, status_file, until

STRATEGIES = ("sguf", "all", "random", "inverse")


def sweep(folder, *arguments: str) -> subprocess.CompletedProcess:
    """``python experiments/run.py -m ...`` with everything written below ``folder``."""
    paths = [f"paths.{name}={folder / name}" for name in ("runs", "records", "data")]
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), "-m", *arguments, *paths]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=6000)


@pytest.fixture
def finished(tmp_path):
    """The folders of the region-selection ablation, with their records."""
    cells = [cell(tmp_path, "table=region_selection", "credit=uniform")]
    cells += [cell(tmp_path, "table=region_selection", f"kawhi.regions.strategy={its}") for its in STRATEGIES]
    return [finish(each) for each in cells]


def test_a_finished_sweep_does_nothing(tmp_path, finished):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = sweep(tmp_path, "ablation=region_selection")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "5 cells: 5 done, 0 to run\n"
    # Wall time on an idle machine; measured so, a busy one does not fail it.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 10
    for place in finished:
        assert {file for file in place.run.path.rglob("*") if file.is_file()} == {*place.records}
    assert len(list((tmp_path / "runs" / "region_selection").iterdir())) == 5
    assert not (tmp_path / "data").exists()


def test_cells_are_called_by_what_tells_them_apart(tmp_path):
    def names(*lists: tuple[str, ...]) -> list[str]:
        return labels([cell(tmp_path, *overrides) for overrides in lists])

    assert names(("credit=kawhi",), ("credit=uniform",)) == ["GRPO + KAWHI", "GRPO"]
    assert names(("credit=kawhi",)) == ["GRPO + KAWHI"]
    assert names(("model=tiny_qwen3_vl", "seeds.rollout=1"), ("model=tiny_qwen2_5_vl",)) == [
        "tiny-qwen3-vl, seed 1",
        "tiny-qwen2.5-vl, seed 0",
    ]
    assert names((), ("kawhi.regions.strategy=all",), ("kawhi.options.w_min=0.2",), ("credit=uniform",)) == [
        "GRPO + KAWHI, w_min 0.1, strategy sguf",
        "GRPO + KAWHI, w_min 0.1, strategy all",
        "GRPO + KAWHI, w_min 0.2, strategy sguf",
        "GRPO",
    ]
    conditions = [("ablation=grounding", f"study.image={image}") for image in ("blank", "true_image")]
    assert names(*conditions) == ["blank", "true_image"]


def test_an_unknown_ablation_is_told_with_those_that_exist(tmp_path):
    done = sweep(tmp_path, "ablation=no_such_thing")
    assert done.returncode != 0
    assert "Could not find 'ablation/no_such_thing'" in done.stderr
    assert all(name in done.stderr for name in options("ablation"))
    assert "Traceback" not in done.stderr + done.stdout


@pytest.fixture
def loop(tmp_path, monkeypatch):
    """Runs pieces of Python as the cells of a sweep; gives the exit code."""
    monkeypatch.setattr(launcher, "_POLL_SECONDS", 0.05)

    monkeypatch.setattr(launcher, "_command", lambda overrides: [sys.executable, "-c", overrides[0]])
    monkeypatch.chdir(tmp_path)

    def run(codes: dict[str, str], parallel: int = 2, gpus: str = "", needs: dict[str, int] | None = None) -> int:
        places = {name: Place(RunDirectory(tmp_path / name), "training") for name in codes}
        views = [CellView(name, place) for name, place in places.items()]
        works = [launcher.Work(places[name], [code], (needs or {}).get(name, 0)) for name, code in codes.items()]
        return launcher._run(works, views, "sweep", parallel, Devices(gpus.split()))

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


def test_a_model_without_the_paper_s_score_does_not_stop_the_cells_of_another(tmp_path, monkeypatch, capsys):
    """The real launch; the cells' processes do nothing but say that they were started."""
    gates = "+gate.scores={tiny-qwen2.5-vl: {kawhi_tiny: 90}, tiny-qwen3-vl: {kawhi_tiny: 40}}"
    rows = [[f"model={model}", gates] for model in ("tiny_qwen2_5_vl", "tiny_qwen3_vl")]
    for row in rows:
        for each in place_of(cell(tmp_path, *row, "study=baseline")).evaluations:
            write_json(each.record, {"result": {"problems": 1000, "score": 41.0}})
    monkeypatch.setenv("KAWHI_FORK_SERVER", "0")
    monkeypatch.setattr(launcher, "composed", lambda loader, sweep, words: cell(tmp_path, *words))
    monkeypatch.setattr(launcher, "memory_needed", lambda cell: 0.1)
    said = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()"
    monkeypatch.setattr(launcher, "_command", lambda words: [sys.executable, "-c", said, words[0]])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        launcher.launch(None, None, rows, 2)
    assert ended.value.code == 1
    assert [file.name for file in tmp_path.glob("model=*")] == ["model=tiny_qwen3_vl"]
    out, err = capsys.readouterr()
    assert "2 cells: 0 done, 1 to run, 1 not started" in out
    refused = (
        "error: the untrained model does not have the paper's score, so nothing is trained from it: tiny-qwen2.5-vl"
    )
    assert err.startswith(refused)
    assert "tiny-qwen3-vl" not in err


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(75)", 75),  # trying again may help
        ("import os; os.kill(os.getpid(), 9)", 1),
        ("import sys; sys.stderr.write('x' * 500_000)", 0),  # more than a pipe holds
    ],
    ids=["75", "killed", "talkative"],
)
def test_the_exit_code_is_the_cell_s(loop, code, expected):
    assert loop({"a": code}) == expected


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


# Writes when it held which GPUs, and stays until another cell has come or its patience is over.
HOLDER = """
import os, time
from pathlib import Path
begin = time.monotonic()
Path(f"here-{os.getpid()}").touch()
while len(list(Path().glob("here-*"))) < WAIT_FOR and time.monotonic() - begin < PATIENCE:
    time.sleep(0.02)
with open("held", "a") as file:
    print(os.environ["CUDA_VISIBLE_DEVICES"], begin, time.monotonic(), file=file)
"""


def held(folder) -> list[tuple[set[str], float, float]]:
    """GPUs, begin and end of every cell."""
    lines = [line.split() for line in (folder / "held").read_text().splitlines()]
    return [(set(gpus.split(",")), float(begin), float(end)) for gpus, begin, end in lines]


def test_cells_side_by_side_have_gpus_of_their_own(tmp_path, loop):
    """Two of the three fit on four GPUs, though memory would allow all; the third comes when one has ended."""
    code = HOLDER.replace("WAIT_FOR", "2").replace("PATIENCE", "30")
    assert loop(dict.fromkeys("abc", code), parallel=9, gpus="0 3 5 GPU-7", needs=dict.fromkeys("abc", 2)) == 0
    cells = held(tmp_path)
    assert len(cells) == 3
    assert all(len(gpus) == 2 for gpus, *_ in cells)
    for number, (gpus, begin, end) in enumerate(cells):
        for others, begun, ended in cells[number + 1 :]:
            assert gpus.isdisjoint(others) or end <= begun or ended <= begin
    assert set().union(*(gpus for gpus, *_ in cells)) == {"0", "3", "5", "GPU-7"}


def test_a_cell_that_needs_many_gpus_is_not_overtaken(tmp_path, loop):
    code = HOLDER.replace("WAIT_FOR", "9").replace("PATIENCE", "0.3")
    assert loop(dict.fromkeys("abc", code), parallel=9, gpus="0 1", needs={"a": 1, "b": 2, "c": 1}) == 0
    assert [len(gpus) for gpus, *_ in sorted(held(tmp_path), key=lambda cell: cell[1])] == [1, 2, 1]


def test_a_cell_without_gpus_keeps_the_environment_it_has(tmp_path, loop, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,2")
    assert loop({"a": "import os; open('seen', 'w').write(os.environ['CUDA_VISIBLE_DEVICES'])"}) == 0
    assert (tmp_path / "seen").read_text() == "4,2"


def test_gpus_are_those_that_may_be_used(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-aa,1")
    assert visible_gpus() == ["3", "GPU-aa", "1"]
    for nothing in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nothing)
        assert visible_gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == []  # there is no driver
    driver = tmp_path / "nvidia-smi"
    driver.write_text('#!/bin/sh\n[ "$1" = --query-gpu=index ] && printf "0\\n1\\n"\n')
    driver.chmod(0o755)
    assert visible_gpus() == ["0", "1"]
    driver.write_text("#!/bin/sh\nexit 9\n")
    with pytest.raises(CellError, match="nvidia-smi failed"):
        visible_gpus()


def test_only_cells_for_gpus_need_some(tmp_path):
    assert gpus_needed(cell(tmp_path)) == 0
    assert gpus_needed(cell(tmp_path, "scale=h200x8", "model=qwen2_5_vl_7b")) == 8


def test_too_few_gpus_for_a_cell_start_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    words = ("scale=h200x8", "study=baseline", "model=qwen2_5_vl_7b", "benchmarks=math")
    done = sweep(tmp_path, *words, "verl.trainer.n_gpus_per_node=1,4")
    assert done.returncode == 1
    assert done.stderr == (
        "error: a cell needs 4 GPUs (verl.trainer.n_gpus_per_node) and this machine shows 2 (CUDA_VISIBLE_DEVICES=0,1):"
        " lower it, or run where there are as many\n"
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("asked", "most"), [(None, 4), (2, 2), (9, 4)])
def test_memory_and_the_user_limit_how_many(tmp_path, monkeypatch, asked, most):
    monkeypatch.setattr(launcher, "available_memory", lambda: 9 * GIB)
    one = cell(tmp_path)
    one.scale.needs.memory_gib = 2
    monkeypatch.delenv(fork_server.VARIABLE, raising=False)
    assert launcher._side_by_side(one, asked) == most
    monkeypatch.setenv(fork_server.VARIABLE, "0")  # then their processes share nothing
    assert launcher._side_by_side(one, asked) == 2


def test_an_interrupted_sweep_leaves_no_process(tmp_path, loop, monkeypatch):
    def interrupt(self, running):
        if (tmp_path / "pid").exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(launcher.SweepView, "update", interrupt)
    code = (
        "import os, subprocess, time; child = subprocess.Popen(['sleep', '600'])\n"
        "open('new', 'w').write(f'{os.getpid()} {child.pid}'); os.rename('new', 'pid'); time.sleep(600)"
    )
    assert loop({"a": code}) == 130
    pids = [int(pid) for pid in (tmp_path / "pid").read_text().split()]
    until(lambda: all(gone(pid) for pid in pids))  # a killed process needs a moment to go


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
        timeout=600,
    )
    assert done.returncode != 0
    assert done.stderr.strip() == "error: steps must be a whole number of at least 1, not 0"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["study=baseline", "hydra/launcher=slurm"], "hydra/launcher=slurm submits sweeps: add -m, for one cell, too"),
        (
            ["-m", "study=baseline", "hydra/launcher=slurm", "hydra.launcher.table=parital"],
            "hydra.launcher.table=parital is not one of complete, partial, none",
        ),
        (
            ["-m", "study=baseline", "hydra/launcher=slurm", "hydra.launcher.site=none.env"],
            "hydra.launcher.site=none.env is no file: slurm/site.env.example shows how it looks",
        ),
    ],
)
def test_a_mistake_on_the_way_to_slurm_is_one_sentence(tmp_path, words, sentence):
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {sentence}\n")


def test_the_command_of_one_checkout_does_not_run_the_code_of_another(tmp_path):
    script = tmp_path / "other" / "experiments" / "run.py"
    script.parent.mkdir(parents=True)
    script.write_text((ROOT / "experiments" / "run.py").read_text())
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert done.returncode == 1
    expected = (
        f"error: this is {tmp_path / 'other'}, and Python finds the kawhi of {ROOT}: use this checkout's environment"
    )
    assert done.stderr == expected + "\n"
