"""MathVision beside lmms-eval's."""

from __future__ import annotations

import pytest

from kawhi.evaluation.benchmark import Outcome
from kawhi.evaluation.benchmarks.mathvision import BENCHMARK
from kawhi.evaluation.prompts import prompts_of
from tests.evaluation.examples.mathvision import AREA, DIGITS, EXAMPLES, KITE
from tests.evaluation.originals import canned, ours, utils_of

DOCS = pytest.mark.parametrize("doc", [DIGITS, KITE, AREA], ids=lambda doc: doc["id"])


@pytest.fixture
def original(monkeypatch):
    """lmms-eval's score of a response; its judge replies with the given text."""
    utils = utils_of("mathvision")

    def score(doc, response, reply, seen=None):
        monkeypatch.setattr(utils._get_pipeline().verifier._server, "evaluate", canned(reply, seen))
        return float(utils.mathvision_gpt_eval_process_results(doc, [response])["llm_as_judge_eval"])

    return score


def asked(doc, response):
    facts = BENCHMARK.facts(doc)
    (question,) = BENCHMARK.questions(facts, response, Outcome(0.0), [])
    return prompts_of("kawhi_mathvision").render(question.name, question.fields)[1]


@DOCS
def test_the_prompt_is_the_original_s(doc):
    mathvision_doc_to_text = utils_of("mathvision").mathvision_doc_to_text

    assert BENCHMARK.prompt(doc, {}) == mathvision_doc_to_text(doc)


def test_the_judge_is_asked_what_the_original_asks_where_there_are_no_options(original):
    seen = []
    original(DIGITS, "<think>5 or 6?</think>It is \\boxed{6}.", "1", seen)
    assert [asked(DIGITS, "<think>5 or 6?</think>It is \\boxed{6}.")] == seen


def test_the_judge_sees_the_options_that_the_original_hides(original):
    seen = []
    original(AREA, "three quarters", "0", seen)
    assert not any(option in seen[0] for option in AREA["options"])
    assert all(option in asked(AREA, "three quarters") for option in AREA["options"])
    assert asked(AREA, "x").replace("\nChoices: " + "\n".join(_lines()), "") == seen[0].replace("three quarters", "x")


def _lines():
    return [f"{letter}. {option}" for letter, option in zip("ABCDE", AREA["options"], strict=True)]


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.replies])
def test_a_clean_reply_scores_as_in_the_original(original, example):
    score = ours(BENCHMARK, example.doc, example.response, *example.replies)
    assert score == original(example.doc, example.response, *example.replies)


@pytest.mark.parametrize("reply", ["I cannot say, there are 10 steps.", "0 out of 1", "<html>HTTP 521</html>"])
def test_a_reply_that_holds_a_1_is_refused_where_the_original_says_right(original, reply):
    assert original(KITE, "\\boxed{A}", reply) == 1.0
    with pytest.raises(ValueError, match="is not one of 0, 1"):
        ours(BENCHMARK, KITE, "\\boxed{A}", reply)


def test_an_empty_response_is_wrong_where_the_original_asks_the_judge(original):
    assert original(KITE, "", "1") == 1.0
    assert ours(BENCHMARK, KITE, "") == 0.0


@pytest.mark.parametrize(("options", "problems"), [({}, 304), ({"split": "testmini"}, 304), ({"split": "test"}, 3040)])
def test_the_split(options, problems):
    (run,) = BENCHMARK.runs(options)
    assert run.problems == problems
    assert run.task == {"test_split": options.get("split", "testmini")}


def test_another_split_is_refused():
    with pytest.raises(ValueError, match="split 'train' is not one of test, testmini"):
        BENCHMARK.runs({"split": "train"})
