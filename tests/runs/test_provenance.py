"""A number is `measured` only where nothing was drawn and a GPU made it; anything drawn on a GPU is refused."""

from __future__ import annotations

import json

import pytest

from kawhi.base.errors import CellError
from kawhi.commands.cli import main
from kawhi.records.hashing import config_hash
from kawhi.runs.identity import identity
from kawhi.runs.provenance import provenance
from kawhi.runs.validation import validate
from tests.cells import cell, options

REAL = ("model=qwen2_5_vl_7b", "data=geo3k", "benchmarks=math")
FULL = ("scale=h200x8", *REAL)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "tiny"),
        (REAL, "tiny"),  # on a CPU
        (FULL, "measured"),
        ((*FULL, "model=tiny_qwen3_vl"), "tiny"),
        ((*FULL, "data=tiny"), "tiny"),
        ((*FULL, "data=tiny", "data.train_file=mine.parquet"), "measured"),
        ((*FULL, "data=tiny", "study=baseline"), "measured"),  # which uses no data set
        ((*FULL, "benchmarks=tiny"), "tiny"),
        ((*FULL, "benchmarks=tiny", "study=timing"), "measured"),
    ],
)
def test_it_follows_from_model_data_benchmarks_and_device(tmp_path, words, said):
    assert provenance(cell(tmp_path, *words)) == said


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("scale=h200x8",), "model tiny-qwen2.5-vl, data tiny, benchmark kawhi_tiny: drawn for the CPU world"),
        ((*FULL, "model=tiny_qwen3_vl"), "model tiny-qwen3-vl: drawn"),
        ((*FULL, "data=tiny"), "data tiny: drawn for the CPU world, and scale=h200x8 is on cuda"),
        ((*FULL, "benchmarks=tiny"), "benchmark kawhi_tiny: drawn"),
        (("scale.device=cuda", "study=grounding"), "model tiny-qwen2.5-vl, data tiny: drawn"),
    ],
)
def test_what_is_drawn_is_refused_on_a_gpu(tmp_path, words, named, capsys):
    with pytest.raises(CellError, match="drawn for the CPU world") as refused:
        validate(cell(tmp_path, *words))
    assert str(refused.value).startswith(named)
    assert main(["plan", *words]) == 1
    assert capsys.readouterr().err == f"error: {refused.value}\n"


@pytest.mark.parametrize("name", options("ablation"))
def test_an_ablation_at_full_scale_with_a_tiny_model_is_refused(name, capsys):
    assert main(["plan", f"ablation={name}", "scale=h200x8", "model=tiny_qwen2_5_vl"]) == 1
    assert capsys.readouterr().err.startswith("error: model tiny-qwen2.5-vl: drawn for the CPU world")


def test_a_hash_does_not_depend_on_saying_that_something_is_drawn(tmp_path):
    part = identity(cell(tmp_path))
    assert "drawn" not in json.dumps(part)
    assert config_hash(part) == config_hash(identity(cell(tmp_path, "~model.drawn", "~data.drawn")))
