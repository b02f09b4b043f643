"""``slurm/*.sh`` without a Slurm: what the launching ones type, and that the others refuse to be run by hand."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("hydra", reason="the training extra is not installed")

from kawhi.cluster.heads_task import table_models
from kawhi.commands.errors import errors
from tests.cells import ROOT, options

FOLDER = ROOT / "slurm"
SCRIPTS = sorted(file.name for file in FOLDER.glob("*.sh") if file.name != "common.sh")
JOBS = ("error_attribution.sh", "head_attribution.sh", "judge.sh", "ray.sh")
TABLES = tuple(script for script in SCRIPTS if script not in JOBS)


def lines(script: str, start: str) -> list[str]:
    return [line for line in (FOLDER / script).read_text().splitlines() if line.startswith(start)]


def tables(script: str) -> list[str]:
    (line,) = lines(script, "launch ")
    return re.findall(r"\w+=\w+", line)


@pytest.fixture
def typed(tmp_path):
    """Runs a script with a Python that only notes what it is given; it fails for one of the tables."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\ncase $3 in *tor_main) exit 7;; esac\n')
    python.chmod(0o755)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "KAWHI"))}
    environment = clean | {"KAWHI_PYTHON": str(python), "KAWHI_RUNS": str(tmp_path / "runs")}

    def run(script: str, *words: str, **more: str) -> tuple[subprocess.CompletedProcess, list[str]]:
        (tmp_path / "calls").unlink(missing_ok=True)
        command = ["bash", str(FOLDER / script), *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment | more, cwd=tmp_path)
        return done, (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []

    return run


@pytest.mark.parametrize("script", TABLES)
def test_it_launches_its_tables_at_the_sites_scale(typed, script):
    assert set(tables(script)) <= {f"{group}={name}" for group in ("ablation", "experiment") for name in options(group)}
    done, calls = typed(script, "steps=3", KAWHI_SCALE="cpu")
    words = "hydra/launcher=slurm scale=cpu steps=3"
    assert calls == [f"experiments/run.py -m {table} {words}" for table in tables(script)]
    # A table that cannot be launched does not keep the others from it, and gives the exit code.
    assert (done.returncode, done.stderr) == (7 if script == "tor_tables.sh" else 0, "")


def test_the_command_line_has_the_last_word_on_the_scale(typed):
    assert typed("visionzip.sh", "steps=3", "scale=cpu")[1][0].endswith("hydra/launcher=slurm steps=3 scale=cpu")
    assert typed("visionzip.sh")[1][0].endswith("hydra/launcher=slurm scale=h200x8")


def test_an_array_is_refused(typed):
    done, calls = typed("visionzip.sh", SLURM_ARRAY_TASK_ID="3")
    assert (done.returncode, calls) == (1, [])
    assert done.stderr == "error: --array chooses no cells: say which by overrides, as in credit=kawhi\n"


@pytest.mark.parametrize("image", ["apptainer exec --nv image.sif python", None])
def test_a_job_s_python_may_be_a_container_s(typed, tmp_path, image):
    """What works in its own job is started with it; what launches others is not."""
    opens = tmp_path / "apptainer"
    opens.write_text(f'#!/bin/sh\necho apptainer "$@" >>{tmp_path}/calls\n')
    opens.chmod(0o755)
    job = {"SLURM_JOB_ID": "1", "SLURM_JOB_PARTITION": "gpu", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    own = {"KAWHI_JOB_PYTHON": image} if image else {}
    done, (call,) = typed("judge.sh", **own, **job)
    assert done.returncode == 0, done.stderr
    assert call.startswith(f"{image or ''} -m kawhi.cluster.judge_job scale=".strip())
    assert typed("visionzip.sh", **own)[1][0].startswith("experiments/run.py")


def test_errors_are_attributed_by_the_papers_judge_unless_another_is_named(typed):
    job = {"SLURM_JOB_ID": "1", "SLURM_JOB_PARTITION": "gpu"}
    _, (call,) = typed("error_attribution.sh", "RUN", "--judge", "endpoint", **job)
    assert call == "-m kawhi errors --judge qwen3_vl_30b_a3b RUN --judge endpoint"
    (judge,) = (each for each in errors.params if each.name == "judge")
    words = call.split()[3:]
    assert errors.make_context("errors", words).params[judge.name] == "endpoint", "the last one counts"


def test_a_python_that_is_missing_is_one_sentence(typed):
    for scale, kind in (("h200x8", "gpu"), ("cpu", "cpu")):
        done, _ = typed("visionzip.sh", KAWHI_PYTHON="/nowhere/python", KAWHI_SCALE=scale)
        assert done.returncode == 1
        told = rf"type make setup-{kind} in {ROOT}, or set KAWHI_PYTHON in .*"
        assert re.fullmatch(rf"error: node \S+ has no /nowhere/python: {told}\n", done.stderr)


def test_the_heads_of_every_model_of_the_main_table():
    (line,) = lines("head_attribution.sh", "#SBATCH --array=")
    assert line == f"#SBATCH --array=0-{len(table_models(['scale=h200x8'])) - 1}"


@pytest.mark.parametrize("script", JOBS)
def test_it_is_a_job(typed, script):
    done, _ = typed(script)
    assert done.returncode == 2
    assert done.stderr == f"error: this is a job for Slurm: type sbatch slurm/{script}\n"
    assert done.stdout == ""


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_it_asks_for(script):
    asked = [word for line in lines(script, "#SBATCH") for word in line.split() if word.startswith("--")]
    node = (
        {"--gpus-per-node=8", "--exclusive"} if script in JOBS else {"--cpus-per-task=1", "--mem=2G", "--time=0:30:00"}
    )
    assert {f"--job-name={Path(script).stem}", "--nodes=1", "--requeue", "--open-mode=append"} | node <= set(asked)
    assert not [word for word in asked if "gpu" in word and script in TABLES]
    assert f"/{Path(script).stem}" in "".join(lines(script, "  folder="))
    (output,) = (word for word in asked if word.startswith("--output="))
    # Slurm makes no folder, so a clone must have it.
    folder = Path(output.split("=", 1)[1]).parent
    tracked = subprocess.run(["git", "ls-files", str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert tracked.returncode or tracked.stdout


@pytest.mark.parametrize("script", [*SCRIPTS, "common.sh"])
def test_bash_reads_it(script):
    done = subprocess.run(["bash", "-n", str(FOLDER / script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_example_of_the_site_is_bash_and_says_every_name():
    text = (FOLDER / "site.env.example").read_text()
    subprocess.run(["bash", "-n", str(FOLDER / "site.env.example")], check=True)
    used = set(re.findall(r"\$\{(KAWHI_[A-Z_]+):", (FOLDER / "common.sh").read_text())) | {"KAWHI_MME"}
    assert len(used) > 6
    assert {name for name in used if f"export {name}=" not in text} == set()
