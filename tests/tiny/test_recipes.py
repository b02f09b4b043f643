"""What a warm start shows: in the reading world some answers misread, and compute rightly with what they read."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from kawhi.credit.readings import read_rightly, truth
from kawhi.tiny.reading_world import choices, result
from kawhi.tiny.recipes import ReadingStart, WarmStart
from kawhi.tiny.world import split_of

STEPS = 40


@pytest.fixture(scope="module")
def lessons():
    return list(islice(ReadingStart().lessons(), STEPS))


def test_half_of_the_answers_are_long_and_all_drawings_are_of_the_warm_start(lessons):
    assert [[len(group) for group in groups] for groups in lessons] == [[12, 12]] * STEPS
    for plain, long in lessons:
        assert {problem.difficulty for problem, _ in plain} == {"plain"}
        assert {problem.difficulty for problem, _ in long} == {"long"}
        assert {split_of(problem.drawing) for problem, _ in plain + long} == {"warmup"}


def test_some_answers_misread_and_all_compute_with_what_they_read(lessons):
    wrong, numbers = [], []
    for problem, answer in (lesson for groups in lessons for group in groups for lesson in group):
        found = truth(problem.readings, answer)
        (own,) = (each.numbers for each in found if each.kind == "reading")
        assert all(number in known for number, known in zip(own, choices(problem.task), strict=True))
        assert {each.right for each in found if each.kind in ("computation", "answer")} == {True}
        assert f"boxed{{{result(problem.task, own)}}}" in answer
        wrong.append(not read_rightly(found))
        numbers += [said != drawn for said, drawn in zip(own, problem.readings, strict=True)]
    recipe = ReadingStart()
    assert np.mean(numbers) == pytest.approx(recipe.careless * recipe.misread, abs=0.05)
    assert 0.2 < np.mean(wrong) < 0.5


def test_lessons_follow_from_the_seed():
    def said(recipe):
        return [answer for groups in islice(recipe.lessons(), 2) for group in groups for _, answer in group]

    assert said(ReadingStart()) == said(ReadingStart())
    assert said(ReadingStart()) != said(ReadingStart(seed=8))


def test_the_tiny_world_s_answers_are_short_from_a_share_of_the_steps_on():
    steps = list(WarmStart(steps=8, short_from=0.5, batch_size=6).lessons())
    assert [len(short) + len(worked) for short, worked in steps] == [6] * 8
    assert {len(short) for short, _ in steps[:4]} == {0}
    assert sum(len(short) for short, _ in steps[4:]) > 4
    for short, worked in steps:
        assert all(answer == problem.short for problem, answer in short)
        assert all(answer == problem.worked for problem, answer in worked)
