"""CharXiv's reasoning questions beside lmms-eval's own handling of the same rows; only its judge is replaced."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kawhi.evaluation.benchmark import Outcome, Scored
from kawhi.evaluation.benchmarks.charxiv_reasoning import BENCHMARK, KINDS
from kawhi.evaluation.prompts import prompts_of
from tests.evaluation.examples.charxiv_descriptive import ROWS

original = pytest.importorskip("lmms_eval.tasks.charxiv.utils")
reasoning_utils = pytest.importorskip("lmms_eval.tasks.charxiv.reasoning_utils")


def _lines(text):
    return [line.rstrip() for line in text.strip().splitlines()]


def _their_query(row, response):
    result = original.charxiv_reasoning_process_results(row, [response])["reasoning_acc"]
    queries = reasoning_utils.build_reasoning_grading_queries(
        {0: result["data"]}, {result["resp_key"]: result["resp_value"]}
    )
    return queries[row["figure_path"]]["grading_query"]


def _our_query(row, response):
    facts = BENCHMARK.facts(row)
    (question,) = BENCHMARK.questions(facts, response, BENCHMARK.rule(facts, response), [])
    return prompts_of(BENCHMARK.name).render(question.name, question.fields)[1]


@pytest.mark.parametrize("row", ROWS)
def test_with_the_type_of_the_answer_lmms_eval_asks_and_grades_the_same(row):
    typed = {**row, "reasoning_q_source": row["reasoning_a_type"]}
    assert _lines(BENCHMARK.prompt(row, {})) == _lines(original.charxiv_reasoning_doc_to_text_cot(typed))
    theirs = _their_query(typed, "{{ 94 }}").replace("[extract_answer, score]", "[extracted_answer, score]")
    assert _our_query(row, "{{ 94 }}").split() == theirs.split()


def test_lmms_eval_takes_the_questions_source_for_the_answers_type():
    _, _, decimal, _ = ROWS  # the answer is 9.17, the question's source 1
    needed = "* Your final answer must be a number with 2 decimal places."
    assert needed not in original.charxiv_reasoning_doc_to_text_cot(decimal)
    assert BENCHMARK.prompt(decimal, {}).endswith(needed)
    rules = "the two numbers are exactly equal in values"
    assert rules not in _their_query(decimal, "9.17")
    assert rules in _our_query(decimal, "9.17")


def test_a_dead_judge_is_minus_one_in_lmms_eval_and_an_error_here(monkeypatch):
    def create(**request):
        raise ConnectionError("down")

    client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
    monkeypatch.setattr(original, "_get_client", lambda: client)
    results = [original.charxiv_reasoning_process_results(row, ["94"])["reasoning_acc"] for row in ROWS]
    assert original.charxiv_reasoning_aggregate_results(results) == -1.0
    (question,) = BENCHMARK.questions(BENCHMARK.facts(ROWS[0]), "94", Outcome(0.0), [])
    with pytest.raises(ValueError):  # noqa: PT011  json's own
        question.parse("")


@pytest.mark.parametrize(
    "reply", ['{"score": 1}', '{"extract_answer": "x", "score": 1}', '{"extracted_answer": {}, "score": 1}']
)
def test_the_reply_has_exactly_two_keys(reply):
    (question,) = BENCHMARK.questions(BENCHMARK.facts(ROWS[0]), "94", Outcome(0.0), [])
    with pytest.raises(ValueError, match="not an"):
        question.parse(reply)


TRUTHS = [  # of the validation split
    (1, "lambda_L = 0.13"),
    (1, "(b) OPT"),
    (1, "JeVois (408MHz)"),
    (1, "PD-HDDPG, plain"),
    (1, "Cosine + CLP(LASER)"),
    (1, "η = 0.1333"),
    (1, "Aug 22, 12:00"),
    (1, "6B"),
    (2, "the left subplot (i.e. the first subplot)"),
    (3, "40,000"),
    (3, "94.0"),
    (4, "9.17"),
]


@pytest.mark.parametrize(("kind", "truth"), TRUTHS)
def test_the_rule_finds_the_truth_and_takes_no_other_for_it(kind, truth):
    facts = {"kind": KINDS[kind], "answer": truth}
    for response in ("{}", "{}.", "It shows.\n\nThe answer is {}.", r"\boxed{{{}}}", "**Answer:** {}"):
        assert BENCHMARK.rule(facts, response.format(truth)).score == 1.0, response
    others = [other for _, other in TRUTHS if other != truth]
    assert [other for other in others if BENCHMARK.rule(facts, f"The answer is {other}.").score] == []


def test_every_kind_of_answer_has_its_score():
    samples = [Scored(BENCHMARK.facts(row), Outcome(float(row is ROWS[0]))) for row in ROWS]
    assert BENCHMARK.scores(samples) == {
        "score": 25.0,
        "text_in_chart": 50.0,
        "number_in_chart": 0.0,
        "number_in_general": 0.0,
    }
    assert len(KINDS) == 4
