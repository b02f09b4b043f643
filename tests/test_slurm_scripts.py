"""``slurm/*.sh`` without a Slurm: their arrays are as long as their tables, and they refuse to be run by hand."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from kawhi.runs.identity import directory_of

pytest.importorskip("hydra", reason="the training extra is not installed")

from kawhi.cluster.array_task import TableCell, table_cells
from kawhi.cluster.heads_task import table_models
from tests.cells import ROOT

FOLDER = ROOT / "slurm"
SCRIPTS = sorted(file.name for file in FOLDER.glob("*.sh") if file.name != "common.sh")
ARRAYS = ("ablations.sh", "chart_table.sh", "main_table.sh", "skip_ratio.sh", "tor_tables.sh", "visionzip.sh")


@cache
def cells_of(script: str) -> list[TableCell]:
    """At full scale, for which the arrays are made."""
    return table_cells(experiments(script), ["scale=h200x8"])


def lines(script: str, start: str) -> list[str]:
    return [line for line in (FOLDER / script).read_text().splitlines() if line.startswith(start)]


def experiments(script: str) -> list[str]:
    (line,) = lines(script, "python_job -m kawhi.cluster.array_task ")
    return line.split()[3].split(",")


def bounds(script: str) -> tuple[int, int, int | None]:
    (line,) = lines(script, "#SBATCH --array=")
    first, last, at_once = re.fullmatch(r"#SBATCH --array=(\d+)-(\d+)(?:%(\d+))?", line).groups()
    return int(first), int(last), at_once and int(at_once)


def test_every_script_is_here():
    assert {*ARRAYS, "head_attribution.sh", "judge.sh", "ray.sh"} == set(SCRIPTS)
    assert [script for script in SCRIPTS if lines(script, "python_job -m kawhi.cluster.array_task")] == list(ARRAYS)


@pytest.mark.slow
@pytest.mark.parametrize("script", ARRAYS)
def test_an_array_is_as_long_as_its_tables(script):
    cells = cells_of(script)
    first, last, at_once = bounds(script)
    assert (first, last) == (0, len(cells) - 1)
    assert at_once  # a cluster is not ours alone


@pytest.mark.slow
def test_a_cell_of_several_tables_is_one_task():
    (shared,) = [cell for cell in cells_of("tor_tables.sh") if len(cell.tables) == 6]
    assert (shared.config.algorithm.name, shared.config.credit.name) == ("grpo", "uniform")
    # In the tiny world the data is always there, so the hashes can be compared, too.
    cells = table_cells(["tor_main", "tor_table5"], ["scale=cpu"])
    assert len({directory_of(cell.config).path.name for cell in cells}) == len(cells) == 7


def test_the_heads_of_every_model_of_the_main_table():
    models = [cell.model.name for cell in table_models(["scale=h200x8"])]
    assert models == list(dict.fromkeys(cell.config.model.name for cell in cells_of("main_table.sh")))
    assert bounds("head_attribution.sh")[:2] == (0, len(models) - 1)


def test_comments_name_the_untrained_models():
    untrained = [str(i) for i, cell in enumerate(cells_of("main_table.sh")) if cell.config.study.name == "baseline"]
    assert f"# Tasks {' and '.join(untrained)} are the untrained models" in (FOLDER / "main_table.sh").read_text()


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_is_a_job(script):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}
    done = subprocess.run(["bash", str(FOLDER / script)], capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stderr == f"error: this is a job for Slurm: type sbatch slurm/{script}\n"
    assert done.stdout == ""


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_asks_for_a_node_with_eight_gpus(script):
    asked = set(lines(script, "#SBATCH"))
    assert {f"#SBATCH --{word}" for word in ("nodes=1", "gpus-per-node=8", "requeue", "open-mode=append")} <= asked
    assert f"#SBATCH --job-name={Path(script).stem}" in asked
    (output,) = lines(script, "#SBATCH --output=")
    # Slurm makes no folder, so a clone must have it.
    folder = Path(output.split("=", 1)[1]).parent
    tracked = subprocess.run(["git", "ls-files", str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert tracked.returncode or tracked.stdout


@pytest.mark.parametrize("script", [*SCRIPTS, "common.sh", "site.env.example"])
def test_bash_reads_it(script):
    done = subprocess.run(["bash", "-n", str(FOLDER / script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_example_of_the_site_says_every_name():
    text = (FOLDER / "site.env.example").read_text()
    used = set(
        re.findall(r"KAWHI_(?:SCALE|PYTHON|RUNS|RECORDS|DATA|MME|SETUP|SRUN_ARGS)", (FOLDER / "common.sh").read_text())
    )
    assert used
    assert {name for name in used if f"export {name}=" not in text} == set()
