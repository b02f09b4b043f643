"""From a data set's own layout to a trained model: kawhi prepare, then a cell on its files with the math reward."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from kawhi.tiny.world import problems
from tests.data.layouts import TINY, geo3k, geo3k_row

from .conftest import SMALL

pytestmark = pytest.mark.slow


def drawn(count: int) -> list[dict]:
    """Rows of Geometry3K that show drawn problems, which the tiny model can read."""
    rows = []
    for number, problem in zip(range(count), problems("train", seed=0), strict=False):
        buffer = io.BytesIO()
        problem.drawing.render(168).save(buffer, "PNG")
        shown = {"images": [{"bytes": buffer.getvalue(), "path": None}], "problem": f"<image>{problem.question}"}
        rows.append(geo3k_row(number) | shown | {"answer": f"{problem.answer}.0 cm"})
    return rows


def test_prepared_files_train_with_the_math_reward(workspace):
    source = geo3k(workspace.folder / "hub", train=drawn(32), validation=8)
    out = workspace.folder / "data" / "geo3k"
    options = ["--from", str(source), "--out", str(out), "--model", TINY, "--max-prompt-length", "160"]
    subprocess.run([sys.executable, "-m", "kawhi", "prepare", "geo3k", *options], check=True, timeout=300)
    trained = [override for override in SMALL if not override.startswith(("data.", "benchmarks", "evaluation"))]
    workspace.run("data=geo3k", "study=timing", "credit=uniform", "verl.data.max_prompt_length=160", *trained)
    record = workspace.record()
    assert record["data"] == "geo3k"
    # The model answers 7 where the file says 7.0 cm: letter by letter nothing would be right.
    assert max(record["training"]["reward"]) > 0
    report = json.loads((out.parent / "geo3k" / "geo3k.report.json").read_text())
    assert "train" in json.dumps(report)
