"""``slurm/*.sh`` on a real Slurm: a table is filled, and what cannot work says so in one sentence."""

from __future__ import annotations

import csv
import re
import sys

import pytest

pytest.importorskip("lmms_eval", reason="the evaluation extra is not installed")

from tests.cells import ROOT

MAIN_TABLE = str(ROOT / "slurm" / "main_table.sh")


@pytest.fixture
def places(lab, tmp_path) -> dict[str, str]:
    """As slurm/site.env sets them, in a shell that types sbatch."""
    paths = {f"KAWHI_{name.upper()}": str(tmp_path / name) for name in ("runs", "records", "data")}
    return lab.environment | paths | {"KAWHI_PYTHON": sys.executable, "KAWHI_SCALE": "cpu"}


@pytest.mark.slow
def test_two_cells_fill_their_rows_of_the_table(lab, places, tmp_path):
    """A job launches one of the untrained models, a shell both; nothing is trained."""
    words = ["study=baseline", "benchmarks.0.problems=16", "evaluation.batch_size=16", "scale.slurm.cpus=1"]
    log = tmp_path / "log"
    job = lab.submit(f"--output={log}", MAIN_TABLE, "model=tiny_qwen2_5_vl", *words, env=places, cwd=tmp_path)
    lab.wait(lambda: lab.sacct(job).get(job) == ("COMPLETED", "0:0"))
    assert "1 cell: 0 done, 0 queued or running already, 1 submitted" in log.read_text()
    assert f"look:  kawhi status main_table --runs {tmp_path}/runs" in log.read_text()
    done = lab.run("bash", MAIN_TABLE, "hydra.launcher.wait=true", *words, env=places, cwd=tmp_path, timeout=1200)
    (counts,) = re.findall(r"2 cells: (\d) done, (\d) queued or running already, 1 submitted", done.stdout)
    assert sorted(counts) == ["0", "1"], "what the job has submitted is not submitted again"
    with open(tmp_path / "tables" / "main_table.csv") as file:
        rows = {(row["Block"], row["Experiment"]): row for row in csv.DictReader(file)}
    assert len(rows) == 17
    found = [head for head in next(iter(rows.values())) if head.endswith(": Tiny world (%)")]
    (scores,) = (head for head in found if "10 steps" not in head)  # those are the published cells
    for model in ("Qwen2.5-VL-7B-Instruct", "Qwen3-VL-4B-Instruct"):
        assert 0 <= float(rows[model, "Base"][scores]) <= 100
        assert rows[model, "GRPO+KAWHI (Ours)"][scores] == "–"


def test_another_partition_than_the_sites_is_named(lab, places, tmp_path):
    checkout = tmp_path / "checkout"
    (checkout / "slurm").mkdir(parents=True)
    for name in ("common.sh", "judge.sh"):
        (checkout / "slurm" / name).write_text((ROOT / "slurm" / name).read_text())
    (checkout / "slurm" / "site.env").write_text(
        "export SBATCH_PARTITION=urgent\nexport KAWHI_PYTHON=/nowhere/python\nexport KAWHI_SETUP='echo set up; true'\n"
    )
    environment = {key: value for key, value in places.items() if key != "KAWHI_PYTHON"}
    script = str(checkout / "slurm" / "judge.sh")
    job = lab.submit("--mem=100", f"--output={tmp_path}/log", script, env=environment, cwd=tmp_path)
    lab.wait(lambda: not lab.squeue(f"--jobs={job}"))
    made, submit, refused = (tmp_path / "log").read_text().splitlines()
    assert submit == (
        "warning: this job runs in the partition main and slurm/site.env names urgent: source slurm/site.env before "
        "sbatch"
    )
    assert made == "set up"
    sentence = (
        f"error: node node[12] has no /nowhere/python: type make setup-[cg]pu in {checkout}, or set KAWHI_PYTHON in .*"
    )
    assert re.fullmatch(sentence, refused)
    assert lab.wait(lambda: lab.sacct(job).get(job) == ("FAILED", "1:0"))
