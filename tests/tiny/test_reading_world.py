"""The reading world: an answer is right exactly when every number was read rightly."""

from __future__ import annotations

import itertools
import random
from itertools import islice
from typing import get_args

import pytest

from kawhi.credit.readings import read_rightly, truth
from kawhi.credit.segments import segment_response
from kawhi.rewards.boxed import is_correct
from kawhi.tiny.reading_world import (
    Difficulty,
    choices,
    make_problem,
    problems,
    result,
    worked,
)
from kawhi.tiny.world import split_of

TASKS = ("rectangle_widths", "circle_diameter")
DIFFICULTIES = get_args(Difficulty)
KINDS = {
    "plain": ["task", "reading", "computation", "answer"],
    "long": ["task", "reading", "filler", "filler", "filler", "computation", "filler", "answer"],
}


@pytest.fixture(scope="module", params=DIFFICULTIES)
def sample(request):
    return [make_problem(random.Random(f"sample/{i}"), request.param) for i in range(300)]


def test_the_numbers_are_those_of_the_drawing_and_answers_follow_from_them(sample):
    for problem in sample:
        labels = [int(extra[0]) for kind, _, *extra in problem.drawing.primitives if kind == "label"]
        assert list(problem.readings) == labels
        first, second = (*labels, 0)[:2]
        assert int(problem.answer) == (10 * first + second if problem.task == "rectangle_widths" else 2 * first)
        assert is_correct(problem.worked, problem.answer)
    assert {problem.task for problem in sample} == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_no_wrong_reading_gives_the_right_answer(task):
    readings = list(itertools.product(*choices(task)))
    assert len({result(task, numbers) for numbers in readings}) == len(readings)


@pytest.mark.parametrize("task", TASKS)
def test_readings_of_another_number_have_no_result(task):
    assert result(task, ()) is result(task, (2, 3, 4)) is None


def test_every_paragraph_is_what_it_was_made_as(sample):
    for problem in sample:
        found = truth(problem.readings, problem.worked)
        assert [each.kind for each in found] == KINDS[problem.difficulty]
        assert {each.right for each in found if each.kind in ("reading", "computation", "answer")} == {True}


def test_a_wrong_reading_is_found_and_the_arithmetic_that_follows_it_is_right(sample):
    for problem in sample[:100]:
        wrong = tuple(number + 1 for number in problem.readings)
        said = "\n\n".join(worked(random.Random(0), problem.task, wrong, problem.difficulty))
        found = truth(problem.readings, said)
        assert not read_rightly(found)
        assert [each.right for each in found if each.kind in ("reading", "computation", "answer")] == [
            False,
            True,
            True,
        ]
        assert not is_correct(said, problem.answer)


def test_paragraphs_are_those_that_credit_sees_and_answers_fit(sample, tokenizer):
    for problem in sample[:100]:
        ids = [*tokenizer(problem.worked)["input_ids"], tokenizer.eos_token_id]
        assert segment_response(ids, tokenizer).max().item() + 1 == len(problem.paragraphs)
        assert len(ids) <= 96  # of conf/scale/cpu.yaml
        assert len(problem.paragraphs) == len(KINDS[problem.difficulty])


def test_streams_are_reproducible_and_a_drawing_is_in_its_split():
    def some(seed, split="train", difficulty="plain"):
        return [(p.drawing.fingerprint(), p.question, p.worked) for p in islice(problems(split, seed, difficulty), 20)]

    assert some(5) == some(5)
    assert some(5) != some(6)
    assert {split_of(problem.drawing) for problem in islice(problems("heldout", 1, "long"), 20)} == {"heldout"}
    plain, long = some(5), some(5, difficulty="long")
    assert [drawing for drawing, *_ in plain] == [drawing for drawing, *_ in long]
    assert all(asked == f"{short} Explain." for (_, short, _), (_, asked, _) in zip(plain, long, strict=True))
