"""What lmms-eval returns is believed only when it is complete and consistent."""

from __future__ import annotations

from dataclasses import fields

import pytest

from kawhi.base.errors import CellError
from kawhi.evaluation.samples import Sample
from kawhi.evaluation.validity import Limits, check_pass, check_samples
from tests.cells import cell

NONE = Limits(truncated=0, empty=0, duplicated=0)


def samples(count: int, **changes_of_the_last) -> list[Sample]:
    made = [
        Sample(str(i), "", {}, f"Question {i}?", ["k"], f"answer {i}", "stop", 3, rule_score=float(i % 2))
        for i in range(count)
    ]
    for name, value in changes_of_the_last.items():
        setattr(made[-1], name, value)
    return made


def logged(of: list[Sample]) -> list[tuple[int, str]]:
    return [(i, sample.response) for i, sample in enumerate(of)]


def test_a_complete_and_consistent_result_is_believed():
    made = samples(4)
    check_pass(made, logged(made)[::-1], 0.5, 0.5)
    assert check_samples("t", made, 4, NONE) == {"truncated": 0, "empty": 0, "duplicated": 0}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows[:-1], "logged 3 samples, 4 were asked"),
        (lambda rows: [*rows, rows[0]], "logged 5 samples, 4 were asked"),
        (lambda rows: [*rows[:-1], rows[0]], "logged 4 samples, 4 were asked"),
        (lambda rows: [*rows[:-1], (3, "[LMMS_EVAL_REQUEST_FAILED after 5 retries]")], "changed 1 responses.* row 3"),
    ],
    ids=["missing", "too many", "twice", "failed request"],
)
def test_other_samples_than_asked_are_refused(change, sentence):
    made = samples(4)
    with pytest.raises(CellError, match=sentence):
        check_pass(made, change(logged(made)), 0.5, 0.5)


def test_a_mean_that_the_samples_do_not_give_is_refused():
    made = samples(4)
    with pytest.raises(CellError, match=r"reports a mean of 0.75, its samples give 0.5"):
        check_pass(made, logged(made), 0.75, 0.5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"id": "0"}, r"t has 4 samples \(3 different\) instead of 4"),
        ({"finish_reason": "length"}, "1 of 4 samples of t are truncated, the limit is 0 %: raise evaluation.max_new"),
        ({"response": " \n"}, "1 of 4 samples of t are empty"),
        ({"prompt": "Question 0?"}, "2 of 4 samples of t are duplicated"),
    ],
    ids=["id", "truncated", "empty", "duplicated"],
)
def test_samples_that_mean_nothing_are_refused(changes, sentence):
    with pytest.raises(CellError, match=sentence):
        check_samples("t", samples(4, **changes), 4, NONE)


def test_the_same_question_on_another_image_or_in_another_pass_is_no_duplicate():
    check_samples("t", samples(4, prompt="Question 0?", images=["other"]), 4, NONE)
    check_samples("t", samples(4, prompt="Question 0?", run="cot"), 4, NONE)


def test_a_share_at_its_limit_passes():
    counts = check_samples("t", samples(4, finish_reason="length"), 4, Limits(0.25, 0, 0))
    assert counts["truncated"] == 1


@pytest.mark.parametrize("count", [3, 5])
def test_a_wrong_number_of_samples_is_refused(count):
    with pytest.raises(CellError, match=f"{count} samples .* instead of 4"):
        check_samples("t", samples(count), 4, NONE)


def test_what_ships_sets_every_limit(tmp_path):
    """A missing one would be found out after the training."""
    assert set(cell(tmp_path).validity) == {each.name for each in fields(Limits)}
