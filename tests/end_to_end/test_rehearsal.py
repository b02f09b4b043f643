"""One cell of the rehearsal, from nothing to its table, by the command that a user types."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def test_a_full_scale_cell_is_walked_from_nothing_to_its_table(tmp_path):
    words = ["rehearse", "model=qwen3_vl_4b", "credit=kawhi", "algorithm=dapo", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "kawhi", *words]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=850)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    stages = ("stand-ins", "prepare", "gate", "train to the first", "resume and merge", "evaluate", "records and table")
    positions = [done.stdout.index(f"s] {stage}") for stage in stages]
    assert positions == sorted(positions)
    assert "verl.trainer.n_gpus_per_node" in done.stdout  # the list of substitutions
    records = [json.loads(file.read_text()) for file in tmp_path.glob("out/*/records/*.json")]
    assert {record["provenance"] for record in records} == {"tiny"}
    assert sorted(record["study"] for record in records) == ["evaluation"] * 8 + ["training"]
    (trained,) = (record for record in records if record["study"] == "training")
    assert trained["run"]["launches"] > 4  # prepare, two trainings, merge, record
    assert trained["health"]["correlation_min"] > 0.98
    (table,) = tmp_path.glob("out/*/tables/main_table.md")
    assert "DAPO + KAWHI" in table.read_text()
