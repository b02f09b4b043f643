"""What holds for every benchmark: its examples come out as they should, by rule and by judge."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

from kawhi.evaluation import TASKS
from kawhi.evaluation.benchmark import Outcome, Scored, load
from kawhi.evaluation.prompts import prompts_of
from tests.evaluation.examples import examples, tasks

CASES = [(task, example) for task in tasks() for example in examples(task)]
NAMES = [f"{task}-{i}" for task in tasks() for i, _ in enumerate(examples(task))]


@pytest.mark.parametrize("task", tasks())
def test_a_task_and_its_benchmark_have_one_name(task):
    assert load(task).name == task
    utils = import_module(f"kawhi.evaluation.tasks.{task}.utils")
    assert utils.BENCHMARK is load(task)
    assert (TASKS / task / f"{task}.yaml").is_file()


@pytest.mark.parametrize("task", tasks())
def test_there_are_right_and_wrong_examples_by_rule_and_by_judge(task):
    assert {example.rule for example in examples(task)} > {0.0} or len(examples(task)) >= 4
    assert len({example.score for example in examples(task)}) > 1


@pytest.mark.parametrize(("task", "example"), CASES, ids=NAMES)
def test_facts_are_json_and_name_the_sample(task, example):
    facts = load(task).facts(example.doc)
    assert json.loads(json.dumps(facts)) == facts
    assert all(isinstance(facts[key], str) and facts[key] for key in ("id", "question", "answer"))


@pytest.mark.parametrize(("task", "example"), CASES, ids=NAMES)
def test_the_rule(task, example):
    benchmark = load(task)
    assert benchmark.rule(benchmark.facts(example.doc), example.response).score == pytest.approx(example.rule)


@pytest.mark.parametrize(("task", "example"), CASES, ids=NAMES)
def test_the_final_score(task, example):
    benchmark = load(task)
    facts = benchmark.facts(example.doc)
    outcome = benchmark.rule(facts, example.response)
    if benchmark.judged:
        images = [b"image"] * len(benchmark.images(example.doc))
        questions = benchmark.questions(facts, example.response, outcome, images)
        prompts = prompts_of(task)
        for question in questions:
            _, user, _ = prompts.render(question.name, question.fields)
            assert user.strip()
        assert len(questions) == len(example.replies)
        parsed = [question.parse(reply) for question, reply in zip(questions, example.replies, strict=True)]
        if questions:
            outcome = benchmark.verdict(facts, example.response, outcome, parsed)
    assert outcome.score == pytest.approx(example.score)


@pytest.mark.parametrize(("task", "example"), [case for case in CASES if case[1].replies])
@pytest.mark.parametrize(
    "reply", ["", "I think it is 1.", '{"verdict": [1]}', "[]", "null", "11", "-1", "true", "1 0", "<html>1</html>"]
)
def test_no_other_reply_is_a_verdict(task, example, reply):
    benchmark = load(task)
    facts = benchmark.facts(example.doc)
    outcome = benchmark.rule(facts, example.response)
    for question in benchmark.questions(facts, example.response, outcome, [b"image"] * 2):
        with pytest.raises(ValueError):  # noqa: PT011  any reason will do
            question.parse(reply)


@pytest.mark.parametrize("task", tasks())
@pytest.mark.parametrize("response", ["", " ", "\\boxed{", "A" * 5000, "\x00", "²", "1" * 5000, "```python\n", "{}"])
def test_no_response_makes_a_rule_raise(task, response):
    benchmark = load(task)
    assert 0 <= benchmark.rule(benchmark.facts(examples(task)[0].doc), response).score <= 1


@pytest.mark.parametrize("task", tasks())
@pytest.mark.parametrize("score", [0.0, 1.0])
def test_scores_of_all_wrong_and_all_right(task, score):
    benchmark = load(task)
    samples = [Scored(benchmark.facts(example.doc), Outcome(score)) for example in examples(task)]
    found = benchmark.scores(samples)
    assert found["score"] == (pytest.approx(0) if not score else found["score"])
    assert all(isinstance(value, float) for value in found.values())


@pytest.mark.parametrize("task", tasks())
def test_an_unknown_option_is_refused(task):
    with pytest.raises(ValueError, match="unknown option"):
        load(task).runs({"problems": 1, "unheard_of": 1})
