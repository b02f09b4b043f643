"""MathVista beside lmms-eval's."""

from __future__ import annotations

import json

import pytest

from kawhi.evaluation.benchmarks.mathvista import BENCHMARK, matches
from kawhi.evaluation.prompts import prompts_of
from tests.evaluation.examples.mathvista import CHOICE, FLOAT, INTEGER, LIST, MONEY, WORDS
from tests.evaluation.originals import ours, utils_of

SHOTS = {"cot": "step-by-step", "solution": "solution", "format": "format-prompt"}


@pytest.fixture
def original(monkeypatch):
    """lmms-eval's score of a response; its judge replies with the given extraction."""
    utils = utils_of("mathvista")

    def score(doc, response, extraction):
        monkeypatch.setattr(utils.mathvista_evaluator, "get_chat_response", lambda *_, **__: extraction)
        return float(utils.mathvista_process_results(doc, [response])["llm_as_judge_eval"]["true_false"])

    return score


def judged(doc, response, extraction):
    return ours(BENCHMARK, doc, response, json.dumps({"extraction": extraction}))


@pytest.mark.parametrize("doc", [FLOAT, MONEY, CHOICE, WORDS, INTEGER, LIST], ids=lambda doc: doc["pid"])
@pytest.mark.parametrize("name", SHOTS)
def test_the_prompt_is_the_original_s(doc, name):
    mathvista_doc_to_text = utils_of("mathvista").mathvista_doc_to_text

    options = {"shot_type": SHOTS[name], "shot": 0, "use_caption": False, "use_ocr": False}
    assert BENCHMARK.prompt(doc, {"prompt": name}) == mathvista_doc_to_text(doc, options)


@pytest.mark.parametrize(
    ("doc", "extraction", "score"),
    [
        (CHOICE, "B", 1.0),
        (CHOICE, "(B)", 1.0),
        (CHOICE, "8/11", 1.0),
        (CHOICE, "the 8/11", 1.0),  # the nearest option
        (CHOICE, "A", 0.0),
        (WORDS, "no", 1.0),
        (WORDS, "(A)", 0.0),
        (INTEGER, "14", 1.0),
        (INTEGER, "14.0", 1.0),
        (INTEGER, "14.7", 1.0),  # truncated
        (INTEGER, "fourteen", 0.0),
        (INTEGER, "inf", 0.0),
        (LIST, "[2007, 2008]", 1.0),
        (LIST, "[2007, 2009]", 0.0),
    ],
)
def test_what_is_extracted_scores_as_in_the_original(original, doc, extraction, score):
    response = "A response in some words."
    assert original(doc, response, extraction) == score
    assert judged(doc, response, extraction) == score


@pytest.mark.parametrize(("doc", "extraction"), [(FLOAT, "1.2"), (FLOAT, "1.23"), (MONEY, "1.45")])
def test_a_float_answer_with_precision_is_right_where_the_original_says_wrong(original, doc, extraction):
    assert isinstance(doc["precision"], float)
    assert original(doc, "A response in some words.", extraction) == 0.0
    assert judged(doc, "A response in some words.", extraction) == 1.0


@pytest.mark.parametrize(("doc", "extraction"), [(FLOAT, "1.3"), (FLOAT, "nan"), (FLOAT, "inf"), (MONEY, "1.44")])
def test_a_float_that_rounds_to_another_is_wrong(doc, extraction):
    assert judged(doc, "A response in some words.", extraction) == 0.0


def test_a_float_with_a_final_zero_is_the_same_number():
    assert matches(BENCHMARK.facts(MONEY | {"answer": "1.50"}), "1.5")


def test_no_answer_is_wrong_where_the_original_takes_the_nearest_option(original):
    nothing = "I cannot tell from the image."
    assert original(WORDS, nothing, "") == 1.0  # "no" is nearer to nothing than "yes"
    assert judged(WORDS, nothing, "") == 0.0


@pytest.mark.parametrize(("doc", "response"), [(WORDS, "no"), (INTEGER, "14"), (FLOAT, "1.2"), (INTEGER, "")])
def test_a_bare_answer_or_nothing_is_not_shown_to_the_judge(doc, response):
    facts = BENCHMARK.facts(doc)
    assert BENCHMARK.questions(facts, response, BENCHMARK.rule(facts, response), []) == []


def test_the_judge_sees_the_data_set_s_query_and_the_response():
    facts = BENCHMARK.facts(CHOICE)
    (question,) = BENCHMARK.questions(facts, "It is (B).", BENCHMARK.rule(facts, "It is (B)."), [])
    _, text, _ = prompts_of("kawhi_mathvista").render(question.name, question.fields)
    assert text.endswith(f"{CHOICE['query']}\n\nModel response: It is (B).\n\nExtracted answer:")


def test_the_passes():
    assert [(run.name, run.problems) for run in BENCHMARK.runs({})] == [(name, 1000) for name in SHOTS]
    assert [run.options for run in BENCHMARK.runs({"prompts": "format"})] == [{"prompt": "format"}]
    assert [run.name for run in BENCHMARK.runs({"prompts": ["solution", "cot"]})] == ["solution", "cot"]


@pytest.mark.parametrize("prompts", ["reason-first", [], ["cot", "cot"], ["cot", "direct"]])
def test_other_prompts_are_refused(prompts):
    with pytest.raises(ValueError, match="give one or more of cot, solution, format"):
        BENCHMARK.runs({"prompts": prompts})
