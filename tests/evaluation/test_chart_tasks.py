"""lmms-eval builds the chart, MME and HallusionBench tasks on rows in the data sets' schemas."""

from __future__ import annotations

import pytest

from kawhi.evaluation.benchmark import load
from kawhi.evaluation.benchmarks import (
    chartqa,
    chartqapro,
    charxiv_descriptive,
    charxiv_reasoning,
    hallusionbench,
    mme,
)
from tests.evaluation.examples import chartqa as chartqa_examples
from tests.evaluation.examples import chartqapro as chartqapro_examples
from tests.evaluation.examples import charxiv_descriptive as charxiv_examples
from tests.evaluation.examples import hallusionbench as hallusionbench_examples
from tests.evaluation.examples import mme as mme_examples
from tests.evaluation.local_tasks import lmms_task

pytest.importorskip("lmms_eval")


def _as_published(rows):
    """Without the column that the task adds."""
    return [{key: value for key, value in row.items() if key != "row"} for row in rows]


CASES = [
    (chartqa, "test", _as_published(chartqa_examples.ROWS), 2500, "human_test"),
    (chartqapro, "test", _as_published(chartqapro_examples.ROWS), 1948, None),
    (charxiv_descriptive, "validation", charxiv_examples.ROWS, 4000, None),
    (charxiv_reasoning, "validation", charxiv_examples.ROWS, 1000, None),
    (mme, "test", mme_examples.ROWS, 2374, None),
    (hallusionbench, "image", hallusionbench_examples.ROWS, 951, None),
]


@pytest.mark.parametrize(("module", "split", "rows", "problems", "_"), CASES, ids=[case[0].__name__ for case in CASES])
def test_lmms_eval_builds_the_task_on_local_rows(module, split, rows, problems, _, tmp_path):
    benchmark = module.BENCHMARK
    task = lmms_task(benchmark.name, rows, None, tmp_path, split)
    docs = list(task.test_docs())
    assert len(docs) == len(rows) * (4 if module is charxiv_descriptive else 1)
    assert [run.problems for run in benchmark.runs({})] == [problems]
    every = [benchmark.facts(doc) for doc in docs]
    assert len({facts["id"] for facts in every}) == len(docs)
    for doc, facts in zip(docs, every, strict=True):
        assert task.doc_to_text(doc) == benchmark.prompt(doc, {})
        assert facts["question"].split("?")[0] in task.doc_to_text(doc)
        (image,) = task.doc_to_visual(doc)
        assert image.mode == "RGB"
        assert task.doc_to_target(doc) == facts["answer"]
        assert task.process_results(doc, [""]) == {"rule": 0.0}
    assert task.config.generation_kwargs["until"] == []


@pytest.mark.parametrize("module", [case[0] for case in CASES])
def test_lmms_eval_reports_the_rules_score(module):
    from importlib import import_module

    name = module.BENCHMARK.name
    utils = import_module(f"kawhi.evaluation.tasks.{name}.utils")
    for example in import_module(f"tests.evaluation.examples.{name.removeprefix('kawhi_')}").EXAMPLES:
        assert utils.process_results(example.doc, [example.response]) == {"rule": pytest.approx(example.rule)}


@pytest.mark.parametrize("task", ["kawhi_charxiv_descriptive", "kawhi_charxiv_reasoning", "kawhi_hallusionbench"])
@pytest.mark.parametrize("response", ["", "  \n", "<think>so far so good", "<think>done</think>\n"])
def test_silence_is_wrong_and_no_judge_is_asked(task, response):
    from tests.evaluation.examples import examples

    benchmark = load(task)
    facts = benchmark.facts(examples(task)[0].doc)
    outcome = benchmark.rule(facts, response)
    assert outcome.score == 0
    assert benchmark.questions(facts, response, outcome, []) == []
