"""lmms-eval builds every task on rows in its data set's schema, and reads each as our functions do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kawhi.evaluation.benchmark import load
from kawhi.evaluation.chartmimic import sandbox
from kawhi.evaluation.task_runs import lmms_task, task_config
from tests.evaluation.examples import examples, published, tasks

PROBLEMS = {
    "kawhi_chartmimic": [600],
    "kawhi_chartqa": [2500],
    "kawhi_chartqapro": [1948],
    "kawhi_charxiv_descriptive": [4000],
    "kawhi_charxiv_reasoning": [1000],
    "kawhi_hallusionbench": [951],
    "kawhi_mathverse": [3940],
    "kawhi_mathvision": [304],
    "kawhi_mathvista": [1000] * 3,
    "kawhi_mme": [2374],
    "kawhi_reading": [0],
    "kawhi_tiny": [0],
    "kawhi_wemath": [1740],
}
ORIGINALS = {
    "chartqa": "chartqa/chartqa.yaml",
    "chartqapro": "chartqapro/chartqapro.yaml",
    "hallusionbench": "hallusion_bench/hallusion_bench_image.yaml",
    "mathvista": "mathvista/mathvista_testmini_cot.yaml",
    "mathverse": "mathverse/mathverse_testmini.yaml",
    "mathvision": "mathvision/mathvision_reason_testmini.yaml",
    "mme": "mme/mme.yaml",
    "wemath": "wemath/reasoning/wemath_testmini_thinking.yaml",
}


@pytest.mark.parametrize("task", tasks())
def test_lmms_eval_builds_the_task_on_a_local_file(tmp_path, monkeypatch, task):
    monkeypatch.setattr(sandbox, "draw", lambda code: pytest.fail("a program was run inside lmms-eval"))
    benchmark = load(task)
    file = tmp_path / "rows.parquet"
    rows = published(task)
    rows.to_parquet(file)
    runs = benchmark.runs({})
    assert [run.problems for run in runs] == PROBLEMS[task]
    config = task_config(benchmark, runs[-1], {"max_new_tokens": 7}, [file])
    config["dataset_kwargs"]["cache_dir"] = str(tmp_path / "cache")
    built = lmms_task(config, "qwen2_5_vl")
    assert built.config.generation_kwargs == {"until": [], "max_new_tokens": 7}
    docs = list(built.test_docs())
    assert len(docs) == len(rows) * (4 if task == "kawhi_charxiv_descriptive" else 1)
    every = [benchmark.facts(doc) for doc in docs]
    assert len({facts["id"] for facts in every}) == len(docs)
    for doc, facts in zip(docs, every, strict=True):
        assert built.doc_to_text(doc) == benchmark.prompt(doc, runs[-1].options)
        assert [image.mode for image in built.doc_to_visual(doc)] == ["RGB"]
        assert built.doc_to_target(doc) == facts["answer"]
        assert built.process_results(doc, [""]) == {"rule": 0.0}
    for example in examples(task):
        quick = benchmark.quick_rule
        rule = quick(benchmark.facts(example.doc), example.response) if quick else example.rule
        assert built.process_results(example.doc, [example.response]) == {"rule": pytest.approx(rule)}


@pytest.mark.parametrize("task", [task for task in tasks() if load(task).judged and task != "kawhi_chartmimic"])
@pytest.mark.parametrize("response", ["", "  \n", "<think>so far so good", "<think>done</think>\n"])
def test_silence_is_wrong_and_no_judge_is_asked(task, response):
    benchmark = load(task)
    facts = benchmark.facts(examples(task)[0].doc)
    outcome = benchmark.rule(facts, response)
    assert outcome.score == 0
    assert benchmark.questions(facts, response, outcome, []) == []


@pytest.mark.parametrize("name", ORIGINALS)
def test_data_and_split_are_the_original_s(name):
    import lmms_eval.tasks

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: node.value)
    original = yaml.load((Path(lmms_eval.tasks.__file__).parent / ORIGINALS[name]).read_text(), Loader)
    for key in ("dataset_path", "dataset_name", "test_split"):
        assert load(f"kawhi_{name}").data.get(key) == original.get(key)
