"""MathVerse beside lmms-eval's."""

from __future__ import annotations

import pytest

from kawhi.evaluation.benchmark import Outcome, Scored
from kawhi.evaluation.benchmarks.mathverse import BENCHMARK
from kawhi.evaluation.prompts import prompts_of
from tests.evaluation.examples.mathverse import DOMINANT, EXAMPLES, FREE, VISION
from tests.evaluation.originals import canned, ours, utils_of

DOCS = pytest.mark.parametrize("doc", [DOMINANT, VISION, FREE], ids=lambda doc: doc["problem_version"])


@pytest.fixture
def original(monkeypatch):
    """lmms-eval's score of a response; its judge replies with the given text."""
    utils = utils_of("mathverse")

    def score(doc, response, reply, seen=None):
        monkeypatch.setattr(utils.mathverse_evaluator.server, "evaluate", canned(reply, seen))
        return float(utils.mathverse_process_results(doc, [response])["gpt_eval_score"])

    return score


@DOCS
def test_the_prompt_is_the_original_s(doc):
    mathverse_doc_to_text = utils_of("mathverse").mathverse_doc_to_text

    options = {"shot_type": "format-prompt", "query_type": "query_wo"}
    assert BENCHMARK.prompt(doc, {}) == mathverse_doc_to_text(doc, options)


@DOCS
def test_the_judge_is_asked_what_the_original_asks(doc, original):
    seen = []
    original(doc, "The answer is D.", "1", seen)
    facts = BENCHMARK.facts(doc)
    (question,) = BENCHMARK.questions(facts, "The answer is D.", Outcome(0.0), [])
    _, text, _ = prompts_of("kawhi_mathverse").render(question.name, question.fields)
    assert [text] == seen


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.replies])
def test_a_clean_reply_scores_as_in_the_original(original, example):
    score = ours(BENCHMARK, example.doc, example.response, *example.replies)
    assert score == original(example.doc, example.response, *example.replies)


@pytest.mark.parametrize("reply", ["I cannot say, there are 10 steps.", "0 out of 1", "<html>HTTP 521</html>"])
def test_a_reply_that_holds_a_1_is_refused_where_the_original_says_right(original, reply):
    assert original(DOMINANT, "The answer is A.", reply) == 1.0
    with pytest.raises(ValueError, match="is not one of 0, 1"):
        ours(BENCHMARK, DOMINANT, "The answer is A.", reply)


def test_an_empty_response_is_wrong_where_the_original_asks_the_judge(original):
    assert original(DOMINANT, "", "1") == 1.0
    assert ours(BENCHMARK, DOMINANT, "") == 0.0


def test_a_row_without_an_image_has_none():
    assert BENCHMARK.images(DOMINANT | {"image": ""}) == []


def test_scores_by_version():
    samples = [Scored(BENCHMARK.facts(doc), Outcome(score)) for doc, score in ((DOMINANT, 1.0), (VISION, 0.0))]
    assert BENCHMARK.scores(samples) == {"score": 50.0, "Text Dominant": 100.0, "Vision Only": 0.0}


def test_the_pass():
    assert [run.problems for run in BENCHMARK.runs({})] == [3940]
