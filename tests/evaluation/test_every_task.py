"""Every benchmark through the real lmms-eval, on its example rows, with a server that gives the example responses."""

from __future__ import annotations

import hashlib
import io
import json
from importlib import import_module

import pytest
from datasets import Dataset
from PIL import Image

from kawhi.evaluation.benchmark import load
from kawhi.evaluation.generate import generate
from kawhi.evaluation.samples import read_images, read_samples
from kawhi.evaluation.task_runs import task_runs
from tests.cells import cell
from tests.evaluation.examples import examples, tasks
from tests.evaluation.stub_server import MODEL, StubServer

pytestmark = pytest.mark.slow


def key(text: str, images: list[Image.Image]) -> tuple[str, ...]:
    return text.strip(), *(hashlib.sha256(image.convert("RGB").tobytes()).hexdigest() for image in images)


@pytest.mark.parametrize("task", [task for task in tasks() if task not in ("kawhi_tiny", "kawhi_reading")])
def test_rows_come_out_with_their_own_response_and_the_rule_s_score(tmp_path, task):
    benchmark = load(task)
    chosen = {benchmark.facts(example.doc)["id"]: example for example in examples(task)}
    module = import_module(f"tests.evaluation.examples.{task.removeprefix('kawhi_')}")
    file = tmp_path / "rows.parquet"
    rows = [dict(example.doc) for example in chosen.values()]
    Dataset.from_list(rows, features=getattr(module, "FEATURES", None)).to_parquet(file)
    entry = {"task": task, "data_file": str(file), "problems": len(chosen)}
    answers = {}
    for run in task_runs(entry):
        for example in chosen.values():
            shown = key(benchmark.prompt(example.doc, run.options), benchmark.images(example.doc))
            answers.setdefault(shown, example.response)  # We-Math has a question in several problems
    asked = cell(tmp_path, f"model.name={MODEL}", "validity={truncated: 1, empty: 1, duplicated: 1}")

    def reply(text: str, images: list[bytes]) -> str:
        return answers[key(text, [Image.open(io.BytesIO(image)) for image in images])]

    folder = tmp_path / "eval" / task
    with StubServer(reply) as stub:
        generate(asked, folder, entry, "unused", stub.base_url)
    samples = read_samples(folder / "samples.parquet")
    assert len(samples) == len(chosen) * len(task_runs(entry))
    kept = read_images(folder / "images.parquet")
    for sample in samples:
        example = chosen[sample.facts["id"]]
        assert sample.response == answers[key(sample.prompt, benchmark.images(example.doc))]
        if sample.response == example.response:
            assert sample.rule_score == pytest.approx(example.rule)
        (option,) = {json.dumps(dict(run.facts)) for run in task_runs(entry)}
        assert sample.facts == benchmark.facts(example.doc) | json.loads(option)
        assert len(sample.images) == len(benchmark.images(example.doc))
        assert set(sample.images) <= set(kept)
