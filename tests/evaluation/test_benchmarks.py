"""What holds for every benchmark: its examples come out as they should, by rule and by judge."""

from __future__ import annotations

import json

import pytest

from kawhi.evaluation.benchmark import Outcome, Scored, cluster_of, compare, load, numbered
from kawhi.evaluation.prompts import prompts_of
from tests.evaluation.examples import examples, tasks

NO_VERDICTS = ("", "I think it is 1.", '{"verdict": [1]}', "[]", "null", "11", "-1", "true", "1 0", "<html>1</html>")
ODD = ("", " ", "\\boxed{", "A" * 5000, "\x00", "²", "1" * 5000, "```python\n", "{}")


@pytest.mark.parametrize("task", tasks())
def test_there_are_right_and_wrong_examples_by_rule_and_by_judge(task):
    assert {example.rule for example in examples(task)} > {0.0} or len(examples(task)) >= 4
    assert len({example.score for example in examples(task)}) > 1


@pytest.mark.parametrize("task", tasks())
def test_facts_are_json_and_name_the_sample(task):
    assert load(task).name == task
    for example in examples(task):
        facts = load(task).facts(example.doc)
        assert json.loads(json.dumps(facts)) == facts
        assert all(isinstance(facts[key], str) and facts[key] for key in ("id", "question", "answer"))


@pytest.mark.parametrize("task", tasks())
def test_rule_and_final_score(task):
    benchmark = load(task)
    found = {}
    for number, example in enumerate(examples(task)):
        facts = benchmark.facts(example.doc)
        outcome = benchmark.rule(facts, example.response)
        found[number] = [outcome.score, final(benchmark, facts, example, outcome).score]
    expected = {number: [example.rule, example.score] for number, example in enumerate(examples(task))}
    assert {n: both for n, both in found.items() if both != pytest.approx(expected[n])} == {}


def final(benchmark, facts, example, outcome):
    """The outcome after the judge, whose questions can all be put into words."""
    if benchmark.judged:
        images = [b"image"] * len(benchmark.images(example.doc))
        questions = benchmark.questions(facts, example.response, outcome, images)
        prompts = prompts_of(benchmark.name)
        for question in questions:
            _, user, _ = prompts.render(question.name, question.fields)
            assert user.strip()
        assert len(questions) == len(example.replies)
        parsed = [question.parse(reply) for question, reply in zip(questions, example.replies, strict=True)]
        if questions:
            return benchmark.verdict(facts, example.response, outcome, parsed)
    return outcome


@pytest.mark.parametrize("task", [task for task in tasks() if any(example.replies for example in examples(task))])
def test_no_other_reply_is_a_verdict(task):
    benchmark = load(task)
    for example in examples(task):
        facts = benchmark.facts(example.doc)
        outcome = benchmark.rule(facts, example.response)
        for question in benchmark.questions(facts, example.response, outcome, [b"image"] * 2):
            for reply in NO_VERDICTS:
                with pytest.raises(ValueError):  # noqa: PT011  any reason will do
                    pytest.fail(f"{reply!r} is taken for {question.parse(reply)!r}")


@pytest.mark.parametrize("task", tasks())
def test_no_response_makes_a_rule_raise(task):
    benchmark = load(task)
    for response in ODD:
        assert 0 <= benchmark.rule(benchmark.facts(examples(task)[0].doc), response).score <= 1, response


@pytest.mark.parametrize("task", tasks())
def test_scores_of_all_wrong_and_all_right(task):
    benchmark = load(task)
    for score in (0.0, 1.0):
        found = benchmark.scores([Scored(benchmark.facts(each.doc), Outcome(score)) for each in examples(task)])
        assert all(isinstance(value, float) for value in found.values())
        assert score or found["score"] == pytest.approx(0)


@pytest.mark.parametrize("task", tasks())
def test_an_unknown_option_is_refused(task):
    with pytest.raises(ValueError, match="unknown option"):
        load(task).runs({"problems": 1, "unheard_of": 1})


@pytest.mark.parametrize(
    ("name", "options", "passes"),
    [
        ("mathvision", {"split": "testmini"}, [("", 304, {"test_split": "testmini"}, {})]),
        ("mathvision", {"split": "test"}, [("", 3040, {"test_split": "test"}, {})]),
        ("mathverse", {"version": "all"}, [("", 3940, {}, {})]),
        ("mathvista", {}, [(name, 1000, {}, {"prompt": name}) for name in ("cot", "solution", "format")]),
        ("mathvista", {"prompts": "format"}, [("format", 1000, {}, {"prompt": "format"})]),
        (
            "mathvista",
            {"prompts": ["solution", "cot"]},
            [(name, 1000, {}, {"prompt": name}) for name in ("solution", "cot")],
        ),
        ("wemath", {"instruction": "none"}, [("", 1740, {}, {"instruction": "none"})]),
    ],
)
def test_options_make_passes(name, options, passes):
    found = load(f"kawhi_{name}").runs(options)
    assert [(run.name, run.problems, run.task, run.options) for run in found] == passes


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("mathvision", {"split": "train"}, "split 'train' is not one of test, testmini"),
        ("mathverse", {"version": "vision"}, "version 'vision' is not one of all, text_dominant, text_lite, vision_"),
        ("wemath", {"instruction": "box"}, "instruction 'box' is not one of tags, none"),
        *(
            ("mathvista", {"prompts": prompts}, "give one or more of cot, solution, format")
            for prompts in ("reason-first", [], ["cot", "cot"], ["cot", "direct"])
        ),
    ],
)
def test_other_values_are_refused(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        load(f"kawhi_{name}").runs(options)


def test_a_row_of_mathverse_without_an_image_has_none():
    assert load("kawhi_mathverse").images({"image": ""}) == []


CHOICES = {"A": "3 cm", "B": "5 cm", "C": r"\frac{1}{2}", "D": "the same"}


@pytest.mark.parametrize(
    ("response", "truth", "choices", "score"),
    [
        ("0.5", "C", CHOICES, 0.0),  # no choice's text letter by letter, and not called the answer
        ("\\boxed{0.5}", "C", CHOICES, 1.0),  # but the same number
        ("\\boxed{0.6}", "C", CHOICES, 0.0),
        ("\\boxed{12}", "12", {}, 1.0),
        ("The area is 12 cm", "12", {}, 1.0),
        ("<think>12</think>", "12", {}, 0.0),
    ],
)
def test_the_rule(response, truth, choices, score):
    assert compare(response, truth, choices).score == score


def test_rows_are_numbered_once():
    datasets = pytest.importorskip("datasets")
    rows = numbered(datasets.Dataset.from_dict({"question": ["a", "b"]}))
    assert rows["row"][:] == [0, 1]
    assert numbered(rows) is rows


@pytest.mark.parametrize("task", tasks())
def test_every_sample_has_a_cluster(task):
    benchmark = load(task)
    for example in examples(task):
        assert cluster_of(benchmark, benchmark.facts(example.doc), ["picture"])


def test_versions_of_a_problem_sets_and_pictures_are_clusters():
    def clusters(task):
        benchmark = load(task)
        return [cluster_of(benchmark, benchmark.facts(example.doc), ["a", "b"]) for example in examples(task)]

    assert set(clusters("kawhi_mathverse")) == {"1"}
    assert set(clusters("kawhi_hallusionbench")) == {"VD_illusion_0", "VS_chart_0"}
    assert set(clusters("kawhi_tiny")) == {"a/b"}
    wemath = load("kawhi_wemath")
    facts = {example.doc["ID"]: wemath.facts(example.doc) for example in examples("kawhi_wemath")}
    for name, own in facts.items():
        assert cluster_of(wemath, own, ["a"]) == f"{own['steps']}/{name}"


def test_older_facts_that_do_not_say_have_no_cluster():
    benchmark = load("kawhi_mathverse")
    assert cluster_of(benchmark, {"id": "7"}, ["picture"]) == ""
    assert cluster_of(load("kawhi_tiny"), {"id": "7"}, []) == "7"
