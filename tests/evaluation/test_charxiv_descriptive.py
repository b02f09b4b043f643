"""CharXiv's descriptive questions beside lmms-eval's own handling of the same rows; only its judge is replaced."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

from kawhi.evaluation.benchmark import Scored
from kawhi.evaluation.benchmarks.charxiv_descriptive import BENCHMARK, process_docs
from kawhi.evaluation.prompts import prompts_of
from tests.evaluation.examples.charxiv_descriptive import ROWS, asked

original = pytest.importorskip("lmms_eval.tasks.charxiv.utils")
descriptive_utils = pytest.importorskip("lmms_eval.tasks.charxiv.descriptive_utils")
datasets = pytest.importorskip("datasets")
# What is mended in the judge's prompt: JSON in its examples, control characters, spelling.
MENDED = [
    ('"extract_answer_T2: ', '"extract_answer_T2": '),
    ("interge", "integer"),
    ("[['extract_answer_T1', 'score_T1']]", "['extract_answer_T1', 'score_T1']"),
    ('"\x07lpha, \x08eta, \\gamma^t_v"', '"\\\\alpha, \\\\beta, \\\\gamma^t_v"'),
    ("\x07lpha, \x08eta", "\\alpha, \\beta"),
    *((f'"score_T{k}": {score}\n        "', f'"score_T{k}": {score},\n        "') for k in (1, 2) for score in (0, 1)),
]


def _client(reply):
    def create(**request):
        if isinstance(reply, Exception):
            raise reply
        return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=reply(request)))])

    return SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))


def _all_right(request):
    keys = re.findall(r"'((?:extract_answer|score)_T\d)'", request["messages"][0]["content"])
    return json.dumps({key: 1 if key.startswith("score") else "x" for key in keys})


def _theirs(monkeypatch, rows, reply):
    monkeypatch.setattr(original, "_get_client", lambda: _client(reply))
    docs = original.charxiv_descriptive_process_docs(datasets.Dataset.from_list(rows))
    results = [original.charxiv_descriptive_process_results(doc, ["an answer"])["descriptive_acc"] for doc in docs]
    return original.charxiv_descriptive_aggregate_results(results)


def test_four_figures_are_asked_four_questions_each_and_one_four_times_in_lmms_eval():
    rows = datasets.Dataset.from_list(ROWS)
    theirs = [(doc["figure_path"], doc["qid"]) for doc in original.charxiv_descriptive_process_docs(rows)]
    assert (len(theirs), len(set(theirs))) == (16, 4)
    ours = [BENCHMARK.facts(doc) for doc in process_docs(rows)]
    assert [facts["template"] for facts in ours] == [row[f"descriptive_q{k}"] for row in ROWS for k in range(1, 5)]
    assert [facts["answer"] for facts in ours] == [row[f"descriptive_a{k}"] for row in ROWS for k in range(1, 5)]
    assert len({facts["id"] for facts in ours}) == len({facts["question"] + facts["id"] for facts in ours}) == 16


def test_three_figures_are_asked_the_same_in_both():
    rows = datasets.Dataset.from_list(ROWS[:3])
    theirs = {
        (doc["figure_path"], doc["descriptive_q"].strip(), doc["descriptive_a"])
        for doc in original.charxiv_descriptive_process_docs(rows)
    }
    ours = {
        (doc["figure_path"], BENCHMARK.prompt(doc, {}), BENCHMARK.facts(doc)["answer"]) for doc in process_docs(rows)
    }
    assert {(path, _lines(text), answer) for path, text, answer in ours} == {
        (path, _lines(text), answer) for path, text, answer in theirs
    }
    assert len(ours) == 12


def test_rows_that_are_expanded_stay_as_they_are():
    rows = process_docs(datasets.Dataset.from_list(ROWS))
    assert process_docs(rows) is rows


@pytest.mark.parametrize("template", range(1, 20))
def test_every_question_is_the_authors(template):
    for place in ((0, 0), (2, 3), "the bottom subplot"):
        named = isinstance(place, str)
        doc = {
            **asked(0, 1),
            "descriptive_q1": template,
            "subplot_loc": place if named else None,
            "subplot_row": None if named else place[0],
            "subplot_col": None if named else place[1],
        }
        theirs = descriptive_utils.descriptive_query_helper(template, place if named else list(place))
        assert _lines(BENCHMARK.prompt(doc, {})) == _lines(theirs)


@pytest.mark.parametrize("template", range(1, 20))
def test_the_judges_question_is_the_authors_but_for_what_is_mended(template):
    groups = {template: [("0", "A response with {{ braces }}", "The truth")]}
    (theirs,) = descriptive_utils.build_descriptive_grading_queries(groups)
    theirs = theirs["grading_query"]
    for broken, whole in MENDED:
        theirs = theirs.replace(broken, whole)
    fields = {"template": template, "answer": "The truth", "response": "A response with {{ braces }}"}
    _, ours, _ = prompts_of(BENCHMARK.name).render("grade", fields)
    assert ours.split() == theirs.split()


def test_the_examples_shown_to_the_judge_are_json():
    for template in range(1, 20):
        fields = {"template": template, "answer": "", "response": ""}
        _, text, _ = prompts_of(BENCHMARK.name).render("grade", fields)
        shown = text[text.index("    {\n") : text.index("### Example End")]
        assert len(json.loads(shown)) == 6


def test_a_judge_that_says_right_gives_one_in_both(monkeypatch):
    assert _theirs(monkeypatch, ROWS[:3], _all_right) == 1.0
    samples = []
    for doc in process_docs(datasets.Dataset.from_list(ROWS[:3])):
        facts = BENCHMARK.facts(doc)
        (question,) = BENCHMARK.questions(facts, "an answer", None, [])
        replies = [question.parse('{"extract_answer_T1": "x", "score_T1": 1}')]
        samples.append(Scored(facts, BENCHMARK.verdict(facts, "an answer", None, replies)))
    assert BENCHMARK.scores(samples) == {"score": 100.0}


@pytest.mark.parametrize("reply", [ConnectionError("down"), lambda request: "I give it a 1."])
def test_a_judge_that_fails_gives_minus_one_in_lmms_eval_and_an_error_here(monkeypatch, reply):
    assert _theirs(monkeypatch, ROWS[:3], reply) == -1.0
    (question,) = BENCHMARK.questions(BENCHMARK.facts(asked(0, 1)), "60", None, [])
    with pytest.raises(ValueError):  # noqa: PT011  json's or ours
        question.parse("I give it a 1.")


TRUTHS = [  # of the validation split
    (1, "easy swimmer:swimmer6"),
    (2, "Number of pixel-level annotations (log-scale)"),
    (3, "LARA (ε = 1)"),
    (3, "PPL (10^2)"),
    (4, "-1.00"),
    (5, "10^-6"),
    (6, "0.997"),
    (8, "200000"),
    (9, "0.05"),
    (11, "Yes"),
    (13, "advmod, amod, case, cc, conj, det, mark, nmod, nsubj, obj, obl"),
    (16, "decreases then increases"),
    (18, "1 by 2"),
    (19, "21"),
    (15, "Not Applicable"),
]


@pytest.mark.parametrize(("template", "truth"), TRUTHS)
def test_the_rule_finds_the_truth_and_takes_no_other_for_it(template, truth):
    facts = {"template": template, "answer": truth}
    for response in ("{}", "{}.", "It shows.\n\nThe answer is {}.", r"\boxed{{{}}}", "**Answer:** {}"):
        assert BENCHMARK.rule(facts, response.format(truth)).score == 1.0, response
    others = [other for _, other in TRUTHS if other != truth]
    assert [other for other in others if BENCHMARK.rule(facts, f"The answer is {other}.").score] == []


@pytest.mark.parametrize("score", ["true", "1.0", '"1"', "2", "-1", "null", "[1]"])
def test_a_score_is_the_number_0_or_1(score):
    (question,) = BENCHMARK.questions(BENCHMARK.facts(asked(0, 1)), "60", None, [])
    with pytest.raises(ValueError, match="whole number"):
        question.parse(f'{{"extract_answer_T1": "60", "score_T1": {score}}}')


def _lines(text):
    return tuple(line.rstrip() for line in text.strip().splitlines())
