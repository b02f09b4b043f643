"""The reading world: rectangles and circles whose answer is right exactly when every number is read rightly.

An answer is the sum of ten widths and the height of a rectangle, or the diameter of a circle.  With the numbers that
are drawn (2 to 9, radii 2 to 19) no two readings of a drawing give one answer, so that a misread or swapped number is
never forgiven.  All answers are worked out: the task, the reading, the computation, ``\\boxed{}``; the long ones have
three paragraphs that say nothing between reading and computation, and one before the answer.

What a paragraph of a model's response does, and which numbers it reads, says :func:`kawhi.credit.readings.truth`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kawhi.tiny.world import ANSWER_LINES, Problem, Split, draw_circle, draw_rectangle, shift, split_of

Difficulty = Literal["plain", "long"]

SIDES, RADII = range(2, 10), range(2, 20)
"""Numbers that rectangles and circles are labelled with."""

EXPLAIN = " Explain."
"""What a question ends with where the answer is to be a long one."""

RECTANGLE, CIRCLE = "rectangle_widths", "circle_diameter"
"""The tasks."""

_SUBJECTS = ("We", "Therefore we", "From the image we")
_VERBS = ("look at", "compare", "read", "need")
_OBJECTS = ("the figure", "the image", "the question", "the sides", "all the points", "this value", "the answer")


@dataclass(frozen=True)
class ReadingProblem(Problem):
    """A problem with what must be read.

    Attributes:
        readings: of a rectangle its width and its height, of a circle its radius; the order in which answers say them.
        difficulty: ``long`` answers have paragraphs without content.
    """

    readings: tuple[int, ...]
    difficulty: Difficulty


def problems(split: Split, seed: int, difficulty: Difficulty = "plain") -> Iterator[ReadingProblem]:
    """An endless, reproducible stream of the problems of one split; a drawing is in the split of its fingerprint."""
    for attempt in itertools.count():
        problem = make_problem(random.Random(f"reading/{seed}/{attempt}"), difficulty)
        if split_of(problem.drawing) == split:
            yield problem


def make_problem(rng: random.Random, difficulty: Difficulty = "plain") -> ReadingProblem:
    """Draws one problem; two of three are rectangles."""
    task, place = rng.choice((RECTANGLE, RECTANGLE, CIRCLE)), shift(rng, 6)
    readings = tuple(rng.choice(numbers) for numbers in choices(task))
    draw = draw_circle if task == CIRCLE else draw_rectangle
    drawing = draw(rng, place, *readings)
    what = "the diameter of the circle" if task == CIRCLE else "the sum of ten widths and the height"
    question = rng.choice((f"What is {what}?", f"Find {what}.")) + (EXPLAIN if difficulty == "long" else "")
    paragraphs, answer = worked(rng, task, readings, difficulty), str(result(task, readings))
    return ReadingProblem(drawing, question, paragraphs, answer, task, readings, difficulty)


def choices(task: str) -> tuple[range, ...]:
    """The numbers that each reading of a task is one of."""
    return (RADII,) if task == CIRCLE else (SIDES, SIDES)


def result(task: str, numbers: Sequence[int]) -> int | None:
    """What a task's arithmetic makes of these readings; ``None`` where they are not as many as it takes."""
    if len(numbers) != len(choices(task)):
        return None
    return 2 * numbers[0] if task == CIRCLE else 10 * numbers[0] + numbers[1]


def worked(rng: random.Random, task: str, numbers: Sequence[int], difficulty: Difficulty) -> tuple[str, ...]:
    """The paragraphs of an answer that reads these numbers, whether or not they are drawn, and computes rightly."""
    if task == CIRCLE:
        (radius,) = numbers
        said = "the diameter of the circle", "twice the radius"
        seen = f"the radius is {radius}", f"the radius {radius}"
        computation = f"The diameter is 2 * {radius}"
    else:
        width, height = numbers
        said = "the sum of ten widths and the height", "ten widths and the height"
        seen = f"the width is {width} and the height is {height}", f"the width {width} and the height {height}"
        computation = f"The sum is 10 * {width} + {height}"
    asked = rng.choice((f"We need {said[0]}.", f"The question asks for {said[0]}.", f"We need {said[1]}."))
    read = rng.choice((f"From the figure, {seen[0]}.", f"In the image, {seen[0]}.", f"I read {seen[1]}."))
    answer = result(task, numbers)
    before, after = (3, 1) if difficulty == "long" else (0, 0)
    boxed = rng.choice(ANSWER_LINES) % answer
    filler = [_filler(rng) for _ in range(before + after)]
    return (asked, read, *filler[:before], f"{computation} = {answer}.", *filler[before:], boxed)


def _filler(rng: random.Random) -> str:
    """A sentence without content, and without a number."""
    return f"{rng.choice(_SUBJECTS)} {rng.choice(_VERBS)} {rng.choice(_OBJECTS)}."
