"""A benchmark whose responses mean nothing is refused through the command that a user types, and nothing is lost."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow


def test_cut_off_responses_are_refused_and_not_generated_again(workspace):
    cell = ("study=baseline", "benchmarks.0.problems=16", "evaluation.max_new_tokens=3", "evaluation.batch_size=16")
    done = workspace.run(*cell, code=1)
    assert done.stderr.startswith(
        "error: evaluate failed: kawhi_tiny: 16 of 16 samples of kawhi_tiny are truncated, the limit is 10 %: raise "
        "evaluation.max_new_tokens or set validity.truncated"
    )
    assert done.stderr.count("\n") == 1
    assert not list(workspace.folder.glob("records/*"))
    responses = workspace.evaluation() / "responses.jsonl"
    kept = responses.stat().st_mtime_ns
    done = workspace.run(*cell, "validity.truncated=1")
    assert responses.stat().st_mtime_ns == kept
    score = workspace.record()["benchmarks"]["kawhi_tiny"]
    assert (score["n"], score["truncated"], score["title"], score["metric"]) == (16, 16, "Tiny world", "accuracy")
    assert json.loads((responses.parent / "score.json").read_text())["score"] == score["score"]
