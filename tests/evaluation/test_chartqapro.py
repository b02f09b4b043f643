"""ChartQAPro beside lmms-eval's own scoring of the same rows."""

from __future__ import annotations

import pytest

from kawhi.evaluation.benchmark import Outcome, Scored
from kawhi.evaluation.benchmarks.chartqapro import BENCHMARK, rule
from tests.evaluation.examples.chartqapro import ROWS

original = pytest.importorskip("lmms_eval.tasks.chartqapro.utils")
COUNTRIES, YEAR, CHOICE, CLAIM, TALK, GUESS = ROWS


def _ours(row, response):
    return BENCHMARK.rule(BENCHMARK.facts(row), response).score


def _theirs(row, response):
    return original.chartqapro_process_results(row, [response])["relaxed_overall"]


def _with(row, *answers, years=("NO",)):
    return {**row, "Answer": list(answers), "Year": list(years)}


@pytest.mark.parametrize("row", ROWS)
def test_the_prompt_is_lmms_evals(row):
    asked = {"pre_prompt": "", "post_prompt": "\nAnswer the question with a short phrase."}  # its chartqapro.yaml
    assert BENCHMARK.prompt(row, {}) == original.chartqapro_doc_to_text(row, asked)


def test_a_conversation_shows_earlier_turns_and_asks_the_last():
    assert BENCHMARK.prompt(TALK, {}).startswith("Q1: Which year is first?\nA1: 2001\nQ2: And its value?\n")
    assert BENCHMARK.facts(TALK)["answer"] == "0.5"


@pytest.mark.parametrize(
    ("row", "response", "score"),
    [
        (YEAR, "2016", 1.0),
        (YEAR, "2015", 0.0),  # within 5 %, but a flagged year
        (_with(YEAR, "2016"), "2015", 1.0),
        (_with(YEAR, "[2016, 2017]", years=["YES"]), "[2016, 2018]", 0.5),
        (_with(YEAR, "[2016, 2017]", years=["YES", "NO"]), "[2016, 2018]", 1.0),
        (_with(YEAR, "[1, 2]"), "[1, 2, 3]", 2 / 3),
        (_with(YEAR, "[1, 2]"), "[1]", 0.5),
        (_with(YEAR, "45"), "45%", 1.0),
        (_with(YEAR, "45%"), "48", 0.0),
        (_with(YEAR, "0"), "0.0", 1.0),
        (_with(YEAR, "0"), "0.1", 0.0),
        (_with(YEAR, "Unanswerable"), "unanswerable", 1.0),
        (_with(YEAR, "Canada"), "Canadas", 1 - 1 / 7),
        (_with(YEAR, "Canada"), "Mexico", 0.0),
        (CHOICE, "b", 1.0),
        (CHOICE, "B", 1.0),
        (CHOICE, "c", 0.0),
        (CLAIM, "false", 1.0),
        (CLAIM, "True", 0.0),
        (TALK, "0.49", 1.0),
        (GUESS, "84", 1.0),
        (GUESS, "", 0.0),
    ],
)
def test_a_bare_answer_scores_as_in_lmms_eval(row, response, score):
    assert _theirs(row, response) == pytest.approx(score)
    assert _ours(row, response) == pytest.approx(score)


@pytest.mark.parametrize(
    ("row", "response", "theirs"),
    [
        (_with(YEAR, "[Canada, France]"), "[Canada, France]", 0.0),
        (COUNTRIES, "['United States', 'Canada']", pytest.approx(0.5 * 12 / 13 + 0.5)),
        (_with(YEAR, "0.5"), ".5", 0.0),
        (YEAR, "Sales rose until 2014, fell and then peaked.\nThe answer is 2016.", 0.0),
        (CHOICE, "b) Gas", 0.0),
        (CLAIM, "False. They rose by 40 %.", 0.0),
        (TALK, "The value in 2001 is 0.5", 0.0),
    ],
)
def test_a_right_answer_that_lmms_eval_scores_wrong(row, response, theirs):
    assert _theirs(row, response) == theirs
    assert _theirs(row, response) < 1
    assert _ours(row, response) == 1.0


def test_every_type_has_its_score():
    samples = [Scored(BENCHMARK.facts(row), Outcome(float(row is not COUNTRIES))) for row in ROWS]
    found = BENCHMARK.scores(samples)
    assert found.pop("score") == pytest.approx(500 / 6)
    assert found == {
        "factoid": 50.0,
        "multi_choice": 100.0,
        "fact_checking": 100.0,
        "conversational": 100.0,
        "hypothetical": 100.0,
    }


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
    right = [each for each in "ABCD" if rule({**facts, "answer": each}, response).score == 1]
    assert right == ([letter] if letter else [])
