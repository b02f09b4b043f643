"""The heads of the main table's models as tasks of an array."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("hydra", reason="the training extra is not installed")

from kawhi.base.checkout import ROOT
from kawhi.base.errors import CellError
from kawhi.cluster.heads_task import chosen, heads_command, shares, table_models


def test_the_index_is_slurms(capsys):
    assert chosen(3, {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "3"}) == 2
    assert capsys.readouterr().out == ""
    assert chosen(3, {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "2"}) == 0
    assert capsys.readouterr().out == "warning: this array has 2 of 3 models; --array=0-2 is all of them\n"
    with pytest.raises(CellError, match=r"there are 3 models, 0 to 2, and this is task 3: say sbatch --array=0-2"):
        chosen(3, {"SLURM_ARRAY_TASK_ID": "3"})
    with pytest.raises(CellError, match=r"this is no task of an array"):
        chosen(3, {})


def test_heads_of_the_tables_models(tmp_path):
    (tmp_path / "test-0.parquet").touch()
    first, second = table_models(["scale=h200x8", f"paths.runs={tmp_path}/runs"])
    assert (first.model.name, second.model.name) == ("qwen2.5-vl-7b", "qwen3-vl-4b")
    command = heads_command(first, f"{tmp_path}/test-*.parquet", ["--threshold", "50"])
    assert command[3:] == [
        *("heads", first.model.path, "--data", f"{tmp_path}/test-0.parquet"),
        *("--out", f"{tmp_path}/heads/{Path(first.model.path).name}", "--threshold", "50"),
    ]
    with pytest.raises(CellError, match="KAWHI_MME= names no file"):
        heads_command(second, None, [])
    tiny, _ = table_models(["scale=cpu"])
    assert heads_command(tiny, None, [])[4:7] == [
        str(ROOT / "kawhi/tiny/checkpoints/qwen2_5_vl_yes_no"),
        *("--data", "tiny"),
    ]


def test_heads_are_dealt_out_once():
    parts = shares(28, 8)
    assert len(parts) == 8
    assert sorted(",".join(parts).split(",")) == sorted(["whole", *map(str, range(28))])
    assert shares(2, 8) == ["whole", "0", "1"]
