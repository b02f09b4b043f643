"""``slurm/*.sh`` on a real Slurm: a table is filled, and what cannot work says so in one sentence."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("lmms_eval", reason="the evaluation extra is not installed")

ROOT = Path(__file__).parents[2]
MAIN_TABLE = str(ROOT / "slurm" / "main_table.sh")


@pytest.fixture
def places(lab, tmp_path) -> dict[str, str]:
    """As slurm/site.env sets them, in a shell that types sbatch."""
    paths = {f"KAWHI_{name.upper()}": str(tmp_path / name) for name in ("runs", "records", "data")}
    return lab.environment | paths | {"KAWHI_PYTHON": sys.executable, "KAWHI_SCALE": "cpu"}


@pytest.mark.slow
def test_two_cells_fill_their_rows_of_the_table(lab, places, tmp_path):
    # The untrained models: nothing is trained, and each is a job on a node of its own.
    words = ["benchmarks.0.problems=16", "evaluation.batch_size=16", "scale.needs.memory_gib=2"]
    options = ["--array=0,10,17", f"--output={tmp_path}/%a.log"]
    job = lab.submit(*options, MAIN_TABLE, *words, env=places, cwd=tmp_path)
    lab.wait(lambda: not lab.squeue(f"--jobs={job}"))
    said = {index: (tmp_path / f"{index}.log").read_text() for index in (0, 10, 17)}
    lab.wait(lambda: all(state not in ("PENDING", "RUNNING") for state, _ in lab.sacct(job).values()))
    assert lab.sacct(job) == {
        f"{job}_0": ("COMPLETED", "0:0"),
        f"{job}_10": ("COMPLETED", "0:0"),
        f"{job}_17": ("FAILED", "1:0"),
    }, said
    assert "error: there are 17 cells, 0 to 16, and this is task 17: say sbatch --array=0-16" in said[17]
    assert "warning: this array has 3 of 17 cells" in said[0]
    assert any("table main_table: 2 of 17 cells have a record" in said[index] for index in (0, 10))
    with open(tmp_path / "tables" / "main_table.csv") as file:
        rows = {(row["Block"], row["Experiment"]): row for row in csv.DictReader(file)}
    assert len(rows) == 17
    (scores,) = (head for head in next(iter(rows.values())) if head.endswith(": Tiny world (%)"))
    for model in ("Qwen2.5-VL-7B-Instruct", "Qwen3-VL-4B-Instruct"):
        assert 0 <= float(rows[model, "Base"][scores]) <= 100
        assert rows[model, "GRPO+KAWHI (Ours)"][scores] == "–"


def test_another_partition_than_the_sites_is_named(lab, places, tmp_path, monkeypatch):
    checkout = tmp_path / "checkout"
    (checkout / "slurm").mkdir(parents=True)
    for name in ("common.sh", "main_table.sh"):
        (checkout / "slurm" / name).write_text((ROOT / "slurm" / name).read_text())
    (checkout / "slurm" / "site.env").write_text(
        "export SBATCH_PARTITION=urgent\nexport KAWHI_PYTHON=/nowhere/python\nexport KAWHI_SETUP='echo set up; true'\n"
    )
    environment = {key: value for key, value in places.items() if key != "KAWHI_PYTHON"}
    script = str(checkout / "slurm" / "main_table.sh")
    job = lab.submit("--array=0", f"--output={tmp_path}/log", script, env=environment, cwd=tmp_path)
    lab.wait(lambda: not lab.squeue(f"--jobs={job}"))
    submit, made, refused = (tmp_path / "log").read_text().splitlines()
    assert submit == (
        "warning: this job runs in the partition main and slurm/site.env names urgent: source slurm/site.env before "
        "sbatch"
    )
    assert made == "set up"
    sentence = f"error: node node[12] has no /nowhere/python: type make setup in {checkout}, or set KAWHI_PYTHON in .*"
    assert re.fullmatch(sentence, refused)
    assert lab.wait(lambda: lab.sacct(job).get(f"{job}_0") == ("FAILED", "1:0"))
