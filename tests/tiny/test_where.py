"""The visual tokens in which a digit can be read."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from kawhi.tiny.drawing import PAGE, Drawing
from kawhi.tiny.where import right_tokens, visual_tokens
from kawhi.tiny.worlds import problems_of


def drawn(*labels: tuple[float, float, str]) -> Drawing:
    drawing = Drawing()
    for x, y, text in labels:
        drawing.label(x, y, text)
    return drawing


def test_a_character_is_in_the_tokens_under_it():
    drawing = drawn((14, 14, "7"), (PAGE - 1, PAGE - 1, "7"), (14, 70, "4"))
    assert visual_tokens(drawing, "7", 6) == {0, 35}
    assert visual_tokens(drawing, "4", 6) == {12}
    assert visual_tokens(drawing, "4", 3) == {3}
    assert visual_tokens(drawing, "5", 6) == set()


def test_what_hangs_over_the_edge_is_in_the_token_at_the_edge():
    assert visual_tokens(drawn((-3, PAGE + 2, "1")), "1", 6) == {30}


def test_only_digits_of_a_reading_that_stand_in_the_drawing_have_a_place():
    drawing = drawn((14, 14, "7"), (70, 14, "4"))
    tokens = ["7", " is ", "4", ".", "9", "A", "7"]
    assert right_tokens(drawing, tokens, [True] * 6 + [False], 6) == {0: {0}, 2: {2}}


@pytest.mark.parametrize(("world", "size"), [("tiny", 168), ("tiny", 192), ("reading_plain", 168)])
def test_there_is_ink_where_a_digit_is_said_to_stand(world, size):
    for problem in islice(problems_of(world, "heldout", 0), 20):
        pixels = np.asarray(problem.drawing.render(size).convert("L")).reshape(6, size // 6, 6, size // 6)
        ink = (pixels < 128).any(axis=(1, 3)).ravel()
        for digit in filter(str.isdecimal, problem.worked):
            assert all(ink[token] for token in visual_tokens(problem.drawing, digit, 6))
