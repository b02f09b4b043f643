"""A table at full scale from records by the real record builder: planted differences are found, equalities not."""

from __future__ import annotations

import csv

import pytest

from analysis import make_tables
from kawhi.records.folder import read_folder
from tests.analysis.full_scale import Planted, write_records
from tests.analysis.synthetic import column

HEAD = "mean of the benchmarks"
DIFFERS = {1: "differs, one seed", 3: "differs"}


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3])
def test_planted_differences_are_found_and_planted_equalities_are_not(tmp_path, seeds: int) -> None:
    planted = Planted({"kawhi": 0.12}, items=400)
    records = write_records(tmp_path, "main_table", seeds, planted, "model=qwen2_5_vl_7b", "algorithm=grpo")
    read = read_folder(records)
    assert not read.refused
    assert make_tables.main(["main", "--records", str(records), "--out", str(tmp_path / "tables")]) == 0
    rows = [*csv.DictReader((tmp_path / "tables" / "main_table.csv").read_text().splitlines())]
    own = [row for row in rows if column([row], HEAD, "Verdict") != ["not run"]]
    words = dict(zip(column(own, "Experiment"), column(own, HEAD, "Verdict"), strict=True))
    # GRPO's reference is the untrained model, which is no row of this sweep.
    equal = dict.fromkeys(("Step-GRPO", "FT-RL", "VPPO"), "within noise")
    assert words == {"GRPO": "–", "GRPO+KAWHI (Ours)": DIFFERS[seeds], **equal}
    assert all(text.startswith("[") for text in column(own, HEAD, "95% interval"))
