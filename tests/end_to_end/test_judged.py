"""A judged benchmark through the command that a user types: real lmms-eval, real tiny model, a server that judges."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from kawhi.evaluation.samples import read_samples
from tests.evaluation.examples import examples
from tests.evaluation.stub_server import MODEL, StubServer

pytestmark = pytest.mark.slow
TASK = "kawhi_mathvision"


@pytest.fixture
def judged(workspace):
    """(overrides of a baseline cell on MathVision rows, judged by a stub)."""
    rows = {example.doc["id"]: dict(example.doc) for example in examples(TASK)}
    file = workspace.folder / "rows.parquet"
    Dataset.from_list(list(rows.values())).to_parquet(file)
    assert pq.read_metadata(file).num_rows == len(rows)
    overrides = [
        "study=baseline",
        f"benchmarks.0.task={TASK}",
        f"+benchmarks.0.data_file={file}",
        f"benchmarks.0.problems={len(rows)}",
        "~benchmarks.0.seed",
        "evaluation.batch_size=8",
        "validity={truncated: 1, empty: 1, duplicated: 0}",  # the tiny model cannot answer these
        "judge=endpoint",
        f"judge.model={MODEL}",
        "judge.attempts=2",
        "judge.timeout=5",
        "judge.patience=2",
    ]
    return overrides, len(rows)


def test_a_judge_that_fails_gives_no_record_and_one_that_answers_is_asked_without_a_new_generation(workspace, judged):
    overrides, count = judged
    with StubServer(lambda text, images: "1", "garbage_with_1") as stub:
        address = f"judge.base_url={stub.base_url}"
        done = workspace.run(*overrides, address, code=1)
        assert f"{count} of {count} samples of {TASK} have no verdict" in done.stderr
        assert done.stderr.count("\n") == 1
        assert not list((workspace.folder / "records").glob("*"))
        folder = workspace.evaluation()
        assert not (folder / "score.json").exists()
        generated = (folder / "responses.jsonl").stat().st_mtime_ns
        stub.become("ok")
        done = workspace.run(*overrides, address)
        assert (folder / "responses.jsonl").stat().st_mtime_ns == generated
    # The verdicts are the score.
    score = workspace.record()["benchmarks"][TASK]
    assert (score["n"], score["score"], score["judge"]["model"]) == (count, 100.0, MODEL)
    assert score["rule_score"] < 100
    assert json.loads((folder / "score.json").read_text())["judge"]["questions"] == count
    samples = read_samples(folder / "samples.parquet")
    assert {sample.verdict for sample in samples} == {"right"}
    assert len({sample.id for sample in samples}) == count


def test_without_a_judge_nothing_starts(workspace, judged):
    overrides, _ = judged
    done = workspace.run(*[o for o in overrides if not o.startswith("judge")], code=1)
    assert f"a judge decides {TASK} and the cell has none: set judge=" in done.stderr
    assert not list(workspace.folder.glob("runs/*/*/eval"))
