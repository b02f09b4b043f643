"""MME beside lmms-eval's own scoring of the same rows."""

from __future__ import annotations

import pytest

from kawhi.evaluation.benchmark import Outcome, Scored
from kawhi.evaluation.benchmarks.mme import BENCHMARK, COGNITION, PERCEPTION, scores, subtask_scores
from tests.evaluation.examples.mme import ROWS

original = pytest.importorskip("lmms_eval.tasks.mme.utils")


def _samples(responses):
    every = [BENCHMARK.facts(row) for row in ROWS]
    return [Scored(facts, BENCHMARK.rule(facts, text)) for facts, text in zip(every, responses, strict=True)]


def _theirs(responses):
    results = [original.mme_process_results(row, [text]) for row, text in zip(ROWS, responses, strict=True)]
    return {
        name: original.mme_aggregate_results([each[key] for each in results if key in each])
        for name, key in (("perception", "mme_perception_score"), ("cognition", "mme_cognition_score"))
    }


@pytest.mark.parametrize("row", ROWS)
def test_the_prompt_is_lmms_evals(row):
    asked = {"pre_prompt": "", "post_prompt": "\nAnswer the question using a single word or phrase."}  # its mme.yaml
    assert BENCHMARK.prompt(row, {}) == original.mme_doc_to_text(row, asked)


def test_the_subtasks_are_the_papers():
    assert list(PERCEPTION) == original.eval_type_dict["Perception"]
    assert list(COGNITION) == original.eval_type_dict["Cognition"]
    assert (len(PERCEPTION), len(COGNITION)) == (10, 4)


@pytest.mark.parametrize(
    ("responses", "perception", "cognition"),
    [
        (["Yes", "No", "Yes", "No", "Yes", "No"], 200, 200),
        (["Yes", "No", "Yes", "Yes", "no.", "yes"], 125, 0),
        (["No", "Yes", "maybe", "", "Yes", "Yes"], 0, 50),
    ],
)
def test_bare_answers_score_as_in_lmms_eval(responses, perception, cognition):
    assert _theirs(responses) == {"perception": perception, "cognition": cognition}
    found = scores(_samples(responses))
    assert found == {
        "score": perception + cognition,
        "perception": perception,
        "cognition": cognition,
        "existence": perception,
        "code_reasoning": cognition,
    }


@pytest.mark.parametrize(
    ("number", "response", "theirs", "ours"),
    [
        (0, "The answer is yes", 0.0, 1.0),
        (0, r"A dog lies on the mat: \boxed{Yes}", 0.0, 1.0),
        (1, "Not sure", 1.0, 0.0),
        (1, "None of this is visible", 1.0, 0.0),
        (1, "I see one cat.\nSo, no.", 0.0, 1.0),
    ],
)
def test_where_lmms_eval_reads_four_characters(number, response, theirs, ours):
    row = ROWS[number]
    assert original.mme_process_results(row, [response])["mme_perception_score"]["score"] == theirs
    assert BENCHMARK.rule(BENCHMARK.facts(row), response).score == ours


def test_an_image_with_one_question_is_refused():
    with pytest.raises(ValueError, match=r"existence/0002\.png of existence has 1; evaluate both or neither"):
        subtask_scores(_samples(["Yes"] * 6)[:3])


def test_an_unknown_subtask_is_refused():
    facts = {**BENCHMARK.facts(ROWS[0]), "category": "taste"}
    with pytest.raises(ValueError, match="no subtask taste"):
        scores([Scored(facts, Outcome(1.0))] * 2)


def test_fourteen_right_subtasks_are_2800_points():
    facts = BENCHMARK.facts(ROWS[0])
    samples = [Scored({**facts, "category": each}, Outcome(1.0)) for each in (*PERCEPTION, *COGNITION) for _ in "12"]
    found = scores(samples)
    assert (found["score"], found["perception"], found["cognition"]) == (2800, 2000, 800)
    assert list(subtask_scores(samples)) == [*PERCEPTION, *COGNITION]
