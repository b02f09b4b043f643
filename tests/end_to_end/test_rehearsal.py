"""One cell of the rehearsal, from nothing to its table, by the command that a user types."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from kawhi.base.resources import GIB, available_memory
from kawhi.rehearsal.walk import MEMORY_GIB
from tests.cells import until

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(2700)]
STAGES = ("stand-ins", "prepare", "gate", "train to the first", "resume and merge", "evaluate", "records and table")


@pytest.fixture
def room():
    """Memory that others hold now is waited for."""
    until(lambda: available_memory() > MEMORY_GIB["qwen3_vl"] * GIB, 900)


def test_a_full_scale_cell_is_walked_from_nothing_to_its_table(room, tmp_path):
    words = ["rehearse", "model=qwen3_vl_4b", "credit=kawhi", "algorithm=dapo", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "kawhi", *words]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=1700)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    positions = [done.stdout.index(f"s] {stage}") for stage in STAGES]
    assert positions == sorted(positions)
    assert "verl.trainer.n_gpus_per_node" in done.stdout  # the list of substitutions
    records = [json.loads(file.read_text()) for file in tmp_path.glob("out/*/records/*.json")]
    assert {record["provenance"] for record in records} == {"tiny"}
    assert sorted(record["study"] for record in records) == ["evaluation"] * 8 + ["training"]
    (trained,) = (record for record in records if record["study"] == "training")
    assert trained["run"]["launches"] > 4  # prepare, two trainings, merge, record
    assert trained["health"]["correlation_min"] > 0.999
    (table,) = tmp_path.glob("out/*/tables/main_table.md")
    assert f"{trained['cell']['name']}-{trained['cell']['hash']}.json" in table.read_text()  # whose row has scores
