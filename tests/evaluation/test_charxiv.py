"""CharXiv's two benchmarks beside lmms-eval's own handling of the same rows; only its judge is replaced."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
from datasets import Dataset

from kawhi.evaluation.benchmark import load
from kawhi.evaluation.benchmarks.charxiv_descriptive import BENCHMARK, process_docs
from kawhi.evaluation.benchmarks.charxiv_reasoning import BENCHMARK as REASONING
from kawhi.evaluation.benchmarks.charxiv_reasoning import KINDS
from kawhi.evaluation.prompts import prompts_of
from tests.evaluation.examples.charxiv_descriptive import ROWS, asked
from tests.evaluation.originals import asked_of_ours, module_of, ours, utils_of

# What is mended in the judge's prompt: JSON in its examples, control characters, spelling.
MENDED = [
    ('"extract_answer_T2: ', '"extract_answer_T2": '),
    ("interge", "integer"),
    ("[['extract_answer_T1', 'score_T1']]", "['extract_answer_T1', 'score_T1']"),
    ('"\x07lpha, \x08eta, \\gamma^t_v"', '"\\\\alpha, \\\\beta, \\\\gamma^t_v"'),
    ("\x07lpha, \x08eta", "\\alpha, \\beta"),
    *((f'"score_T{k}": {score}\n        "', f'"score_T{k}": {score},\n        "') for k in (1, 2) for score in (0, 1)),
]
TEMPLATES = pytest.mark.parametrize("template", range(1, 20))
original = utils_of("charxiv")


def _lines(text):
    return tuple(line.rstrip() for line in text.strip().splitlines())


def _judge(monkeypatch, reply):
    """lmms-eval's judge replies so, or raises."""

    def create(**request):
        if isinstance(reply, Exception):
            raise reply
        return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=reply(request)))])

    client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
    monkeypatch.setattr(original, "_get_client", lambda: client)


def _all_right(request):
    keys = re.findall(r"'((?:extract_answer|score)_T\d)'", request["messages"][0]["content"])
    return json.dumps({key: 1 if key.startswith("score") else "x" for key in keys})


def _descriptive():
    """lmms-eval's score of the descriptive questions."""
    docs = original.charxiv_descriptive_process_docs(Dataset.from_list(ROWS[:3]))
    results = [original.charxiv_descriptive_process_results(doc, ["an answer"])["descriptive_acc"] for doc in docs]
    return original.charxiv_descriptive_aggregate_results(results)


def _reasoning():
    results = [original.charxiv_reasoning_process_results(row, ["94"])["reasoning_acc"] for row in ROWS]
    return original.charxiv_reasoning_aggregate_results(results)


def test_four_figures_are_asked_four_questions_each_and_one_four_times_in_lmms_eval():
    rows = Dataset.from_list(ROWS)
    theirs = [(doc["figure_path"], doc["qid"]) for doc in original.charxiv_descriptive_process_docs(rows)]
    assert (len(theirs), len(set(theirs))) == (16, 4)
    found = [BENCHMARK.facts(doc) for doc in process_docs(rows)]
    expected = [(row[f"descriptive_q{k}"], row[f"descriptive_a{k}"]) for row in ROWS for k in range(1, 5)]
    assert [(facts["template"], facts["answer"]) for facts in found] == expected
    expanded = process_docs(rows)
    assert process_docs(expanded) is expanded


def test_three_figures_are_asked_the_same_in_both():
    rows = Dataset.from_list(ROWS[:3])
    theirs = {
        (doc["figure_path"], _lines(doc["descriptive_q"]), doc["descriptive_a"])
        for doc in original.charxiv_descriptive_process_docs(rows)
    }
    found = {
        (doc["figure_path"], _lines(BENCHMARK.prompt(doc, {})), BENCHMARK.facts(doc)["answer"])
        for doc in process_docs(rows)
    }
    assert found == theirs
    assert len(found) == 12


@TEMPLATES
def test_every_question_is_the_authors(template):
    for place in ((0, 0), (2, 3), "the bottom subplot"):
        named = isinstance(place, str)
        where = {"subplot_loc": place, "subplot_row": None, "subplot_col": None}
        if not named:
            where = {"subplot_loc": None, "subplot_row": place[0], "subplot_col": place[1]}
        helper = module_of("charxiv.descriptive_utils").descriptive_query_helper
        theirs = helper(template, place if named else list(place))
        doc = {**asked(0, 1), "descriptive_q1": template, **where}
        assert _lines(BENCHMARK.prompt(doc, {})) == _lines(theirs)


@TEMPLATES
def test_the_judges_question_is_the_authors_but_for_what_is_mended_and_its_examples_are_json(template):
    response = "A response with {{ braces }}"
    build = module_of("charxiv.descriptive_utils").build_descriptive_grading_queries
    theirs = build({template: [("0", response, "The truth")]})[0]["grading_query"]
    for broken, whole in MENDED:
        theirs = theirs.replace(broken, whole)
    fields = {"template": template, "answer": "The truth", "response": response}
    _, found, _ = prompts_of(BENCHMARK.name).render("grade", fields)
    assert found.split() == theirs.split()
    assert len(json.loads(found[found.index("    {\n") : found.index("### Example End")])) == 6


def test_a_judge_that_says_right_gives_one_in_both(monkeypatch):
    _judge(monkeypatch, _all_right)
    assert _descriptive() == 1.0
    for doc in process_docs(Dataset.from_list(ROWS[:3])):
        assert ours(BENCHMARK, doc, "an answer", '{"extract_answer_T1": "x", "score_T1": 1}') == 1.0


@pytest.mark.parametrize("reply", [ConnectionError("down"), lambda request: "I give it a 1."])
@pytest.mark.parametrize(
    ("theirs", "asked_of", "doc"), [(_descriptive, BENCHMARK, asked(0, 1)), (_reasoning, REASONING, ROWS[0])]
)
def test_a_judge_that_fails_gives_minus_one_in_lmms_eval_and_an_error_here(monkeypatch, theirs, asked_of, doc, reply):
    _judge(monkeypatch, reply)
    assert theirs() == -1.0
    for unreadable in ("I give it a 1.", ""):
        with pytest.raises(ValueError):  # noqa: PT011  json's or ours
            ours(asked_of, doc, "60", unreadable)


@pytest.mark.parametrize("score", ["true", "1.0", '"1"', "2", "-1", "null", "[1]"])
def test_a_score_is_the_number_0_or_1(score):
    with pytest.raises(ValueError, match="whole number"):
        ours(BENCHMARK, asked(0, 1), "60", f'{{"extract_answer_T1": "60", "score_T1": {score}}}')


@pytest.mark.parametrize(
    "reply", ['{"score": 1}', '{"extract_answer": "x", "score": 1}', '{"extracted_answer": {}, "score": 1}']
)
def test_the_reply_has_exactly_two_keys(reply):
    with pytest.raises(ValueError, match="not an"):
        ours(REASONING, ROWS[0], "94", reply)


def _their_query(row, response):
    result = original.charxiv_reasoning_process_results(row, [response])["reasoning_acc"]
    build = module_of("charxiv.reasoning_utils").build_reasoning_grading_queries
    return build({0: result["data"]}, {result["resp_key"]: result["resp_value"]})[row["figure_path"]]["grading_query"]


@pytest.mark.parametrize("row", ROWS)
def test_with_the_type_of_the_answer_lmms_eval_asks_and_grades_the_same(row):
    typed = {**row, "reasoning_q_source": row["reasoning_a_type"]}
    assert _lines(REASONING.prompt(row, {})) == _lines(original.charxiv_reasoning_doc_to_text_cot(typed))
    theirs = _their_query(typed, "{{ 94 }}").replace("[extract_answer, score]", "[extracted_answer, score]")
    assert asked_of_ours("charxiv_reasoning", row, "{{ 94 }}").split() == theirs.split()


def test_lmms_eval_takes_the_questions_source_for_the_answers_type():
    decimal = ROWS[2]  # the answer is 9.17, the question's source 1
    needed = "* Your final answer must be a number with 2 decimal places."
    assert needed not in original.charxiv_reasoning_doc_to_text_cot(decimal)
    assert REASONING.prompt(decimal, {}).endswith(needed)
    rules = "the two numbers are exactly equal in values"
    assert rules not in _their_query(decimal, "9.17")
    assert rules in asked_of_ours("charxiv_reasoning", decimal, "9.17")


DESCRIPTIVE_TRUTHS = [  # of the validation split
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
REASONING_TRUTHS = [
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


@pytest.mark.parametrize(
    ("name", "truths", "number"),
    [
        *(("descriptive", DESCRIPTIVE_TRUTHS, i) for i in range(len(DESCRIPTIVE_TRUTHS))),
        *(("reasoning", REASONING_TRUTHS, i) for i in range(len(REASONING_TRUTHS))),
    ],
)
def test_the_rule_finds_the_truth_and_takes_no_other_for_it(name, truths, number):
    kind, truth = truths[number]
    rule = load(f"kawhi_charxiv_{name}").rule
    facts = {"template": kind, "kind": KINDS.get(kind), "answer": truth}
    for response in ("{}", "{}.", "It shows.\n\nThe answer is {}.", r"\boxed{{{}}}", "**Answer:** {}"):
        assert rule(facts, response.format(truth)).score == 1.0, response
    others = [other for _, other in truths if other != truth]
    assert [other for other in others if rule(facts, f"The answer is {other}.").score] == []
