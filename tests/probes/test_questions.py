"""Questions from files, benchmarks and evaluations: what is asked, beside which image, and what is right."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from kawhi.base.errors import CellError
from kawhi.data import schema
from kawhi.evaluation.samples import Sample, read_samples, write_samples
from kawhi.probes.questions import of_benchmark, of_evaluation, of_file
from kawhi.rewards.boxed import compute_score
from kawhi.tiny.dataset import write_split
from kawhi.tiny.world import problems
from tests.evaluation.examples import examples
from tests.evaluation.made import make_run, of

TASK = "kawhi_tiny"


def sampled() -> list[Sample]:
    """Two judged responses to the drawn world's held-out problems and one that nobody has judged."""
    made = []
    for index, (problem, score) in enumerate(zip(islice(problems("heldout", 0), 3), (1.0, 0.0, None), strict=True)):
        text = f"So \\boxed{{{problem.answer}}}."
        facts = {"id": str(index), "question": problem.question, "answer": problem.answer, "task": "sum"}
        made.append(
            Sample(str(index), "", facts, f"Look. {problem.question}", ["0"], text, "stop", 9, 1.0, score=score)
        )
    return made


def test_an_evaluation_s_responses_stand_beside_the_images_that_they_were_given_to(tmp_path):
    evaluation = of(make_run(tmp_path, **{TASK: sampled()}), TASK)
    found = [*of_evaluation(evaluation)]
    drawn = [*islice(problems("heldout", 0), 3)]
    assert [each.index for each in found] == [0, 1]  # what nobody has judged is left out
    for each, problem in zip(found, drawn, strict=False):
        assert each.text == f"Look. {problem.question}"
        assert each.response == f"So \\boxed{{{problem.answer}}}."
        np.testing.assert_array_equal(np.asarray(each.image), np.asarray(problem.drawing.render(168)))
    assert [each.right(each.response) for each in found] == [True, False]  # as it was scored


def test_a_sample_without_its_row_is_refused(tmp_path):
    evaluation = of(make_run(tmp_path, **{TASK: sampled()}), TASK)
    file = evaluation.path / "samples.parquet"
    write_samples(file, [replace(each, id="99") for each in read_samples(file)])
    with pytest.raises(CellError, match="the benchmark has no row 99 to take its image from"):
        next(of_evaluation(evaluation))


def test_rows_of_a_file_are_asked_as_training_asks_them(tmp_path):
    file = tmp_path / "rows.parquet"
    write_split(file, "heldout", 3, 168, 0, "reading_plain")
    rows = schema.pq.read_table(file).to_pylist()
    several = {**rows[1], "images": rows[1]["images"] * 2}
    schema.write(file, [rows[0], several, rows[2]])
    found = [*of_file(file, lambda source: compute_score)]
    assert [each.index for each in found] == [0, 2]  # one image each
    for each, row in zip(found, (rows[0], rows[2]), strict=True):
        assert "<image>" not in each.text
        assert each.text == row["prompt"][0]["content"].removeprefix("<image>")
        assert each.readings == tuple(row["extra_info"]["readings"])
        assert each.right(f"\\boxed{{{row['reward_model']['ground_truth']}}}")
        assert not each.right("\\boxed{-1}")


def test_a_benchmark_s_own_prompt_and_rule_are_taken(monkeypatch):
    docs = [each.doc for each in examples(TASK)]
    monkeypatch.setattr("kawhi.probes.questions.benchmark_docs", lambda entry: iter(docs))  # the hub's data set
    found = [*of_benchmark({"task": TASK, "title": "Tiny", "problems": len(docs), "seed": 0})]
    assert len(found) == len(docs)
    for each, doc in zip(found, docs, strict=True):
        assert each.text == doc["extra_info"]["question"]
        assert each.right(f"\\boxed{{{doc['reward_model']['ground_truth']}}}")
        assert not each.right("no box")
