"""Which paragraph reads is known of the drawn worlds, and of nothing else."""

from __future__ import annotations

from itertools import islice

import pytest

from kawhi.probes.reads import reading_paragraphs
from kawhi.tiny.worlds import TINY, WORLDS, problems_of


@pytest.mark.parametrize("world", WORLDS)
def test_the_second_paragraph_of_a_worked_answer_reads(world):
    for problem in islice(problems_of(world, "heldout", 0), 40):
        reads = reading_paragraphs(world, problem.worked)
        assert reads == [i == 1 for i in range(len(problem.paragraphs))]


@pytest.mark.parametrize(
    ("source", "response"),
    [
        (TINY, "The final answer is \\boxed{4}."),
        (TINY, "One.\n\nTwo 2."),
        ("reading_plain", "We look at the figure.\n\nThe final answer is \\boxed{4}."),
        ("reading_plain", "I read the width 4."),
        ("geo3k", "One.\n\nTwo 2.\n\nThree.\n\nFour."),
    ],
)
def test_of_anything_else_nobody_knows(source, response):
    assert reading_paragraphs(source, response) is None
