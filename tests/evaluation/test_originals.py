"""Benchmarks beside lmms-eval's own prompts and scoring of the same rows."""

from __future__ import annotations

import json

import pytest

from kawhi.evaluation.benchmark import load
from kawhi.evaluation.benchmarks.mathvista import matches
from tests.evaluation.examples import chartqa, chartqapro, examples, mathverse, mathvision, mathvista, mme, wemath
from tests.evaluation.originals import PROMPTS, RULES, asked_of_ours, judged_score, module_of, ours, utils_of

COUNT, BAR, SHARE, LEADER, ZERO = chartqa.ROWS
COUNTRIES, YEAR, CHOICE, CLAIM, TALK, GUESS = chartqapro.ROWS
STEP = wemath.row("2steps_7", "1")
DOMINANT, KITE, AREA, DIGITS = mathverse.DOMINANT, mathvision.KITE, mathvision.AREA, mathvision.DIGITS
SOME = "A response in some words."


def _pro(*answers, years=("NO",)):
    return {**YEAR, "Answer": list(answers), "Year": list(years)}


@pytest.mark.parametrize(("name", "options", "module", "function", "more"), PROMPTS)
def test_the_prompt_is_the_original_s(name, options, module, function, more):
    theirs = getattr(module_of(module), function)
    for example in examples(f"kawhi_{name}"):
        assert load(f"kawhi_{name}").prompt(example.doc, options) == theirs(example.doc, *more)


def test_we_math_asks_for_tags_with_the_original_s_system_message():
    theirs = utils_of("wemath.reasoning")
    wanted = f"{theirs.SYSTEM_PROMPT}\n\n{theirs.wemath_doc_to_text_cot(STEP)}"
    assert load("kawhi_wemath").prompt(STEP, {}) == wanted


def test_a_conversation_shows_earlier_turns_and_asks_the_last():
    benchmark = load("kawhi_chartqapro")
    assert benchmark.prompt(TALK, {}).startswith("Q1: Which year is first?\nA1: 2001\nQ2: And its value?\n")
    assert benchmark.facts(TALK)["answer"] == "0.5"


SAME = [
    ("chartqa", COUNT, "14", 1.0),
    ("chartqa", COUNT, "14.5", 1.0),
    ("chartqa", COUNT, "15", 0.0),
    ("chartqa", COUNT, "14%", 0.0),
    ("chartqa", SHARE, "60.16", 1.0),
    ("chartqa", SHARE, "60.17", 0.0),
    ("chartqa", SHARE, "-57.3", 0.0),
    ("chartqa", BAR, "yes", 1.0),
    ("chartqa", BAR, "No", 0.0),
    ("chartqa", LEADER, "UNITED STATES", 1.0),
    ("chartqa", LEADER, "Canada", 0.0),
    ("chartqa", ZERO, "0", 1.0),
    ("chartqa", COUNT, "", 0.0),
    ("chartqapro", YEAR, "2016", 1.0),
    ("chartqapro", YEAR, "2015", 0.0),  # within 5 %, but a flagged year
    ("chartqapro", _pro("2016"), "2015", 1.0),
    ("chartqapro", _pro("[2016, 2017]", years=["YES"]), "[2016, 2018]", 0.5),
    ("chartqapro", _pro("[2016, 2017]", years=["YES", "NO"]), "[2016, 2018]", 1.0),
    ("chartqapro", _pro("[1, 2]"), "[1, 2, 3]", 2 / 3),
    ("chartqapro", _pro("[1, 2]"), "[1]", 0.5),
    ("chartqapro", _pro("45"), "45%", 1.0),
    ("chartqapro", _pro("45%"), "48", 0.0),
    ("chartqapro", _pro("0"), "0.0", 1.0),
    ("chartqapro", _pro("0"), "0.1", 0.0),
    ("chartqapro", _pro("Unanswerable"), "unanswerable", 1.0),
    ("chartqapro", _pro("Canada"), "Canadas", 1 - 1 / 7),
    ("chartqapro", _pro("Canada"), "Mexico", 0.0),
    ("chartqapro", CHOICE, "b", 1.0),
    ("chartqapro", CHOICE, "B", 1.0),
    ("chartqapro", CHOICE, "c", 0.0),
    ("chartqapro", CLAIM, "false", 1.0),
    ("chartqapro", CLAIM, "True", 0.0),
    ("chartqapro", TALK, "0.49", 1.0),
    ("chartqapro", GUESS, "84", 1.0),
    ("chartqapro", GUESS, "", 0.0),
    ("wemath", STEP, "<think>Because.</think><answer>B</answer>", 1.0),
    ("wemath", STEP, "<answer>(B) 3215.36</answer>", 1.0),
    ("wemath", STEP, "<answer>B. 3215.36</answer>", 1.0),
    ("wemath", STEP, "<answer>C</answer>", 0.0),
    ("wemath", STEP, "\\boxed{B}", 1.0),
    ("wemath", STEP, "So \\boxed{A}", 0.0),
    ("wemath", STEP, "", 0.0),
    ("wemath", STEP, "I do not know", 0.0),
]
RIGHT = [
    *(
        ("chartqa", COUNT, each, 0.0)
        for each in ("I count.\n\nThe answer is 14.", r"\boxed{14}", "There are 14 items.")
    ),
    ("chartqa", BAR, "Yes, it ends at 62.", 0.0),
    ("chartqa", SHARE, "In 2015 it was 57.3.", 0.0),
    ("chartqa", SHARE, "60.165", 0.0),  # exactly 5 %, but not in binary
    ("chartqa", LEADER, "**United States**", 0.0),
    ("chartqa", ZERO, "0.0", 0.0),
    ("chartqapro", _pro("[Canada, France]"), "[Canada, France]", 0.0),
    ("chartqapro", COUNTRIES, "['United States', 'Canada']", 0.5 * 12 / 13 + 0.5),
    ("chartqapro", _pro("0.5"), ".5", 0.0),
    ("chartqapro", YEAR, "Sales rose until 2014, fell and then peaked.\nThe answer is 2016.", 0.0),
    ("chartqapro", CHOICE, "b) Gas", 0.0),
    ("chartqapro", CLAIM, "False. They rose by 40 %.", 0.0),
    ("chartqapro", TALK, "The value in 2001 is 0.5", 0.0),
    ("mme", mme.ROWS[0], "The answer is yes", 0.0),
    ("mme", mme.ROWS[0], r"A dog lies on the mat: \boxed{Yes}", 0.0),
    ("mme", mme.ROWS[1], "I see one cat.\nSo, no.", 0.0),
    *(("wemath", STEP, each, 0.0) for each in ("B", "(B)", "B. 3215.36", "The answer is B.", "**Answer:** B")),
    ("wemath", STEP, "so option B", 0.0),
]


@pytest.mark.parametrize(("name", "row", "response", "score"), SAME)
def test_a_bare_answer_scores_as_in_lmms_eval(name, row, response, score):
    assert RULES[name](row, response) == pytest.approx(score)
    assert ours(load(f"kawhi_{name}"), row, response) == pytest.approx(score)


@pytest.mark.parametrize(("name", "row", "response", "theirs"), RIGHT)
def test_a_right_answer_that_lmms_eval_scores_wrong(name, row, response, theirs):
    assert RULES[name](row, response) == pytest.approx(theirs)
    assert ours(load(f"kawhi_{name}"), row, response) == 1.0


@pytest.mark.parametrize("response", ["Not sure", "None of this is visible"])
def test_a_wrong_answer_that_lmms_eval_scores_right_by_its_first_letters(response):
    assert RULES["mme"](mme.ROWS[1], response) == 1.0
    assert ours(load("kawhi_mme"), mme.ROWS[1], response) == 0.0


@pytest.mark.parametrize("response", ["C", "(A) or (B)", "The answer is A or B", "A, B", "B is wrong, so it is C"])
def test_another_letter_or_two_are_wrong(response):
    assert ours(load("kawhi_wemath"), STEP, response) == 0.0


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("A: the value is 5, so not this one.\nAnswer: B", "B"),
        ("A) is wrong.\n\\boxed{B}", "B"),
        ("The answer is B because it is larger", "B"),
        ("Option A or option B", ""),
    ],
)
def test_no_response_is_right_for_two_letters(response, letter):
    facts = {"id": "0", "question": "Which?", "type": "Multi Choice", "years": [False]}
    rule = load("kawhi_chartqapro").rule
    assert [each for each in "ABCD" if rule({**facts, "answer": each}, response).score == 1] == [*letter]


@pytest.mark.parametrize(
    ("name", "example"),
    [(name, each) for name in ("mathverse", "mathvision") for each in examples(f"kawhi_{name}") if each.replies],
)
def test_a_clean_reply_scores_as_in_the_original(monkeypatch, name, example):
    score, _ = judged_score(monkeypatch, name, example.doc, example.response, *example.replies)
    assert ours(load(f"kawhi_{name}"), example.doc, example.response, *example.replies) == score


@pytest.mark.parametrize(("name", "doc"), [("mathverse", DOMINANT), ("mathvision", KITE)])
@pytest.mark.parametrize("reply", ["I cannot say, there are 10 steps.", "0 out of 1", "<html>HTTP 521</html>"])
def test_a_reply_that_holds_a_1_is_refused_where_the_original_says_right(monkeypatch, name, doc, reply):
    assert judged_score(monkeypatch, name, doc, "\\boxed{A}", reply)[0] == 1.0
    with pytest.raises(ValueError, match="is not one of 0, 1"):
        ours(load(f"kawhi_{name}"), doc, "\\boxed{A}", reply)


@pytest.mark.parametrize(("name", "doc"), [("mathverse", DOMINANT), ("mathvision", KITE)])
def test_an_empty_response_is_wrong_where_the_original_asks_the_judge(monkeypatch, name, doc):
    assert judged_score(monkeypatch, name, doc, "", "1")[0] == 1.0
    assert ours(load(f"kawhi_{name}"), doc, "") == 0.0


@pytest.mark.parametrize(
    ("name", "doc"),
    [*(("mathverse", doc) for doc in (DOMINANT, mathverse.VISION, mathverse.FREE)), ("mathvision", DIGITS)],
)
def test_the_judge_is_asked_what_the_original_asks(monkeypatch, name, doc):
    response = "<think>5 or 6?</think>It is \\boxed{6}." if doc is DIGITS else "The answer is D."
    assert [asked_of_ours(name, doc, response)] == judged_score(monkeypatch, name, doc, response, "1")[1]


def test_mathvision_s_judge_sees_the_options_that_the_original_hides(monkeypatch):
    _, (theirs,) = judged_score(monkeypatch, "mathvision", AREA, "three quarters", "0")
    assert not any(option in theirs for option in AREA["options"])
    options = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCDE", AREA["options"], strict=True))
    found = asked_of_ours("mathvision", AREA, "three quarters")
    assert found.count(f"\nChoices: {options}") == 1
    assert found.replace(f"\nChoices: {options}", "") == theirs


FLOAT, MONEY, WORDS, INTEGER = mathvista.FLOAT, mathvista.MONEY, mathvista.WORDS, mathvista.INTEGER


def _extracted(doc, extraction):
    return ours(load("kawhi_mathvista"), doc, SOME, json.dumps({"extraction": extraction}))


@pytest.mark.parametrize(
    ("doc", "extraction", "theirs", "score"),
    [
        *((mathvista.CHOICE, each, 1.0, 1.0) for each in ("B", "(B)", "8/11", "the 8/11")),  # the nearest option
        (mathvista.CHOICE, "A", 0.0, 0.0),
        (WORDS, "no", 1.0, 1.0),
        (WORDS, "(A)", 0.0, 0.0),
        *((INTEGER, each, 1.0, 1.0) for each in ("14", "14.0", "14.7")),  # truncated
        (INTEGER, "fourteen", 0.0, 0.0),
        (INTEGER, "inf", 0.0, 0.0),
        (mathvista.LIST, "[2007, 2008]", 1.0, 1.0),
        (mathvista.LIST, "[2007, 2009]", 0.0, 0.0),
        (WORDS, "", 1.0, 0.0),  # "no" is nearer to nothing than "yes"
        (FLOAT, "1.2", 0.0, 1.0),  # its precision is a float in the original
        (FLOAT, "1.23", 0.0, 1.0),
        (MONEY, "1.45", 0.0, 1.0),
        *((FLOAT, each, 0.0, 0.0) for each in ("1.3", "nan", "inf")),
        (MONEY, "1.44", 0.0, 0.0),
    ],
)
def test_what_mathvista_s_judge_extracts_scores_as_in_the_original_but_for_floats(
    monkeypatch, doc, extraction, theirs, score
):
    assert judged_score(monkeypatch, "mathvista", doc, SOME, extraction)[0] == theirs
    assert _extracted(doc, extraction) == score


NOTHING = [
    "N/A",
    "cannot be determined",
    "The answer cannot be determined from the image.",
    "None",
    "Not available",
    "",
]


@pytest.mark.parametrize("extraction", NOTHING)
def test_nothing_found_is_wrong_or_the_nearest_option_as_in_the_original(monkeypatch, extraction):
    theirs = judged_score(monkeypatch, "mathvista", WORDS, SOME, extraction)[0]
    (run, *_) = load("kawhi_mathvista").runs({"no_answer": "nearest"})
    facts = load("kawhi_mathvista").facts(WORDS)
    assert matches({**facts, **run.facts}, extraction) == bool(theirs)
    assert not matches(facts, extraction)
    assert matches(facts | {"choices": ["yes", extraction], "answer": extraction}, extraction) or not extraction


def test_mathvista_refuses_another_way_to_treat_nothing():
    with pytest.raises(ValueError, match="no_answer 'guess' is not one of wrong, nearest"):
        load("kawhi_mathvista").runs({"no_answer": "guess"})


def test_a_float_with_a_final_zero_is_the_same_number():
    assert matches(load("kawhi_mathvista").facts(MONEY | {"answer": "1.50"}), "1.5")


@pytest.mark.parametrize(("doc", "response"), [(WORDS, "no"), (INTEGER, "14"), (FLOAT, "1.2"), (INTEGER, "")])
def test_a_bare_answer_or_nothing_is_not_shown_to_the_judge(doc, response):
    benchmark = load("kawhi_mathvista")
    facts = benchmark.facts(doc)
    assert benchmark.questions(facts, response, benchmark.rule(facts, response), []) == []


def test_mathvista_s_judge_sees_the_data_set_s_query_and_the_response():
    wanted = f"{mathvista.CHOICE['query']}\n\nModel response: It is (B).\n\nExtracted answer:"
    assert asked_of_ours("mathvista", mathvista.CHOICE, "It is (B).").endswith(wanted)
