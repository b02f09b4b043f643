"""The policy behind the real ``vllm serve``: greedy, it gives the responses of the Hugging Face model."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from kawhi.base.checkout import resolve_package_paths
from kawhi.evaluation.samples import read_samples
from kawhi.evaluation.serving import started
from kawhi.runs.verl_command import own_environment
from tests.cells import cell
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


def segments(process: psutil.Process) -> set[Path]:
    """Files of /dev/shm that a process and its descendants have open or mapped."""
    found = set()
    for each in [process, *process.children(recursive=True)]:
        found |= {Path(mapped.path) for mapped in each.memory_maps() if mapped.path.startswith("/dev/shm/")}
    return {file for file in found if file.exists()}


def test_its_shared_memory_goes_with_it(tmp_path):
    tiny = cell(tmp_path, "model=tiny_qwen3_vl")
    server = started(
        resolve_package_paths(tiny.model.path),
        name="tiny",
        port=None,
        options=[*tiny.evaluation.server.options, "--dtype", "float32"],
        log=tmp_path / "log",
        limit=600,
        limit_key="evaluation.server.start_limit",
        environment=own_environment(tiny, tmp_path / "unused"),
    )
    with server as its:
        its.ready()
        held = segments(psutil.Process(its.process.pid))
        assert held
    assert [file for file in held if file.exists()] == []
