"""The policy behind the real ``vllm serve``: greedy, it gives the responses of the Hugging Face model."""

from __future__ import annotations

import pytest

from kawhi.evaluation.samples import read_samples
from tests.end_to_end.conftest import Workspace

pytestmark = pytest.mark.slow
PROBLEMS = 24


def test_both_backends_give_the_same_greedy_responses(tmp_path):
    found = {}
    for backend in ("hugging_face", "vllm"):
        workspace = Workspace(tmp_path / backend)
        workspace.run(
            "study=baseline",
            "model=tiny_qwen3_vl",
            f"benchmarks.0.problems={PROBLEMS}",
            f"evaluation.backend={backend}",
            "evaluation.temperature=0",
            "evaluation.batch_size=8",
        )
        (record,) = workspace.records()
        assert record["config"]["evaluation"]["backend"] == backend
        assert record["result"]["n"] == PROBLEMS
        assert workspace.processes() == []
        samples = read_samples(workspace.evaluation() / "samples.parquet")
        found[backend] = [(sample.id, sample.response, sample.finish_reason, sample.score) for sample in samples]
    same = sum(one == other for one, other in zip(found["hugging_face"], found["vllm"], strict=True))
    assert same >= PROBLEMS - 1  # a tie between two tokens may be broken by the order of a sum
