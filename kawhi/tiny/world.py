"""The tiny world: drawn geometry and charts, a question, a worked answer in four paragraphs, an exact answer.

Paragraph 1 says what is asked, 2 reads the image, 3 computes, 4 gives ``\\boxed{}``.  Every demonstration is correct;
in the warm start half of them skip to paragraph 4 at once, and reinforcement learning finds out which style is right
more often.

Splits cannot overlap: a drawing belongs to the split that its fingerprint falls into, so no image is in two splits
whatever the seeds are.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kawhi.tiny.drawing import Drawing

Split = Literal["warmup", "train", "validation", "heldout"]
_SPLIT_SHARES: tuple[tuple[Split, int], ...] = (("warmup", 40), ("train", 30), ("validation", 10), ("heldout", 20))

ANSWER_LINES = (
    "So the answer is \\boxed{%s}.",
    "The final answer is \\boxed{%s}.",
    "Therefore, the answer is \\boxed{%s}.",
    "Answer: \\boxed{%s}",
)


@dataclass(frozen=True)
class Problem:
    """One question about one drawing.

    Attributes:
        drawing: what is shown.
        question: one sentence.
        paragraphs: the worked answer: task, reading, computation, boxed answer.  Other worlds may have more.
        answer: a non-negative integer as text.
        task: e.g. ``rectangle_area`` or ``bar_sum``; the part before ``_`` of charts is the mark type.
    """

    drawing: Drawing
    question: str
    paragraphs: tuple[str, ...]
    answer: str
    task: str

    @property
    def worked(self) -> str:
        """All paragraphs, separated by a blank line."""
        return "\n\n".join(self.paragraphs)

    @property
    def short(self) -> str:
        """The boxed answer alone: correct, but nothing was read aloud."""
        return self.paragraphs[-1]


def split_of(drawing: Drawing) -> Split:
    """The split that owns a drawing, by its fingerprint."""
    bucket = int.from_bytes(drawing.fingerprint()[:4], "big") % 100
    for name, share in _SPLIT_SHARES:
        if bucket < share:
            return name
        bucket -= share
    raise AssertionError("the shares of _SPLIT_SHARES do not add up to 100")


def problems(split: Split, seed: int) -> Iterator[Problem]:
    """An endless, reproducible stream of the problems of one split."""
    for attempt in itertools.count():
        problem = make_problem(random.Random(f"{seed}/{attempt}"))
        if split_of(problem.drawing) == split:
            yield problem


def make_problem(rng: random.Random) -> Problem:
    """Draws one problem: geometry and charts with equal probability."""
    return rng.choice((_rectangle, _triangle_sides, _triangle_angle, _circle, _chart, _chart, _chart, _chart))(rng)


def shift(rng: random.Random, amount: int) -> tuple[int, int]:
    """How far a drawing is moved, so that nothing stands at the same place in all of them."""
    return rng.randint(-amount, amount), rng.randint(-amount, amount)


def _rectangle(rng: random.Random) -> Problem:
    place = shift(rng, 6)
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    drawing = draw_rectangle(rng, place, a, b)
    seen = (f"From the figure, the sides are {a} and {b}.", f"In the image, the width is {a} and the height is {b}.")
    reading = rng.choice((*seen, f"I read the sides {a} and {b}."))
    if rng.random() < 0.5:
        what, answer = "perimeter", 2 * (a + b)
        how, computation = "we add all four sides", f"The perimeter is 2 * ({a} + {b}) = 2 * {a + b} = {answer}."
    else:
        what, answer = "area", a * b
        how, computation = "we multiply the two sides", f"The area is {a} * {b} = {answer}."
    question, task = _asked(rng, what, "rectangle", f"To get the {what}, {how}.")
    return _problem(rng, drawing, question, (task, reading, computation), answer, f"rectangle_{what}")


def draw_rectangle(rng: random.Random, place: tuple[int, int], width_label: int, height_label: int) -> Drawing:
    """A rectangle with the length of its width below it and that of its height on its right, moved by ``place``."""
    drawing, (dx, dy) = Drawing(), place
    width, height = rng.randint(60, 100), rng.randint(50, 84)
    x0, y0 = 76 - width / 2 + dx, 76 - height / 2 + dy
    drawing.rectangle(x0, y0, x0 + width, y0 + height)
    drawing.label(x0 + width / 2, y0 + height + 16, str(width_label))
    drawing.label(x0 + width + 14, y0 + height / 2, str(height_label))
    return drawing


def _asked(rng: random.Random, what: str, figure: str, hint: str) -> tuple[str, str]:
    """A question for a quantity of a figure, and the paragraph that says what is asked."""
    question = rng.choice((f"What is the {what} of the {figure}?", f"Find the {what} of this {figure}."))
    said = f"We need the {what} of a {figure}.", f"The question asks for the {what} of the {figure}."
    return question, rng.choice((*said, hint))


def _read(rng: random.Random, what: str, are: str, values: str) -> str:
    """The paragraph that reads ``values`` off the image."""
    seen = f"From the figure, the {what} {are} {values}."
    return rng.choice((seen, f"I read the {what} {values}.", f"The image shows the {what} {values}."))


def _triangle(rng: random.Random) -> tuple[Drawing, tuple, tuple, tuple]:
    drawing, (dx, dy) = Drawing(), shift(rng, 6)
    left = (rng.randint(28, 50) + dx, 128 + dy)
    right = (rng.randint(118, 140) + dx, 128 + dy)
    top = (rng.randint(56, 112) + dx, rng.randint(36, 50) + dy)
    for start, end in ((left, right), (right, top), (top, left)):
        drawing.line([start, end])
    return drawing, left, right, top


def _triangle_sides(rng: random.Random) -> Problem:
    drawing, left, right, top = _triangle(rng)
    a, b, c = (rng.randint(2, 9) for _ in range(3))
    drawing.label((left[0] + right[0]) / 2, left[1] + 16, str(a))
    drawing.label((right[0] + top[0]) / 2 + 13, (right[1] + top[1]) / 2 - 6, str(b))
    drawing.label((left[0] + top[0]) / 2 - 13, (left[1] + top[1]) / 2 - 6, str(c))
    answer = a + b + c
    reading = _read(rng, "sides", "are", f"{a}, {b} and {c}")
    question, task = _asked(rng, "perimeter", "triangle", "To get the perimeter, we add all three sides.")
    computation = f"The perimeter is {a} + {b} + {c} = {a + b} + {c} = {answer}."
    return _problem(rng, drawing, question, (task, reading, computation), answer, "triangle_perimeter")


def _triangle_angle(rng: random.Random) -> Problem:
    drawing, left, right, top = _triangle(rng)
    a, b = 10 * rng.randint(2, 8), 10 * rng.randint(2, 8)
    drawing.label(left[0] + 2, left[1] + 16, str(a))
    drawing.label(right[0] - 2, right[1] + 16, str(b))
    drawing.label(top[0], top[1] - 15, "?")
    answer = 180 - a - b
    reading = _read(rng, "angles", "are", f"{a} and {b}")
    question = rng.choice(("What is the missing angle?", "Find the angle marked with a question mark."))
    said = "We need the missing angle of a triangle.", "The question asks for the third angle."
    task = rng.choice((*said, "The angles of a triangle add up to 180."))
    computation = f"The angle is 180 - {a} - {b} = {180 - a} - {b} = {answer}."
    return _problem(rng, drawing, question, (task, reading, computation), answer, "triangle_angle")


def _circle(rng: random.Random) -> Problem:
    place = shift(rng, 6)
    radius = rng.randint(2, 19)
    drawing = draw_circle(rng, place, radius)
    answer = 2 * radius
    reading = _read(rng, "radius", "is", str(radius))
    question, task = _asked(rng, "diameter", "circle", "The diameter is twice the radius.")
    computation = f"The diameter is 2 * {radius} = {answer}."
    return _problem(rng, drawing, question, (task, reading, computation), answer, "circle_diameter")


def draw_circle(rng: random.Random, place: tuple[int, int], radius: int) -> Drawing:
    """A circle with the length of its radius above it, moved by ``place``."""
    drawing, (dx, dy), size = Drawing(), place, rng.randint(36, 56)
    x, y = 84 + dx, 84 + dy
    drawing.circle(x, y, size)
    drawing.circle(x, y, 2, filled=True)
    drawing.line([(x, y), (x + size, y)])
    drawing.label(x + size / 2, y - 14, str(radius))
    return drawing


def _chart(rng: random.Random) -> Problem:
    kind, labelled = rng.choice(("bar", "line")), rng.random() < 0.6
    names = "ABCD"[: rng.randint(2, 4)]
    values = [rng.randint(1, 9) for _ in names]
    drawing = draw_chart(rng, kind, labelled, names, values)
    mark = "bar" if kind == "bar" else "point"
    asked = rng.choice(("value", "largest", "smallest", "difference", "sum"))
    i, j = sorted(rng.sample(range(len(names)), 2))
    if asked == "value":
        one = names[i]
        question = rng.choice((f"What is the value of {one}?", f"Read the value of {one} from the chart."))
        said = f"We need the value of {one}.", f"The question asks about {one}.", f"We look for the {mark} named {one}."
        answer, seen, computation = values[i], f"{one} = {values[i]}", f"The value is {values[i]}."
    elif asked in ("largest", "smallest"):
        answer = max(values) if asked == "largest" else min(values)
        value = f"{asked} value"
        question = rng.choice((f"What is the {value} in the chart?", f"Find the {value}."))
        said = f"We need the {value}.", f"The question asks for the {value}.", f"We compare all the {mark}s."
        seen = ", ".join(f"{name} = {number}" for name, number in zip(names, values, strict=True))
        computation = f"The {value} is {answer}."
    else:
        both = f"{names[i]} and {names[j]}"
        question = rng.choice((f"What is the {asked} of {both}?", f"Find the {asked} of {both}."))
        said = f"We need the {asked} of {both}.", f"The question asks for the {asked}.", f"We look at {both}."
        seen = f"{names[i]} = {values[i]} and {names[j]} = {values[j]}"
        high, low = max(values[i], values[j]), min(values[i], values[j])
        answer, worked = high - low, f"{high} - {low}"
        if asked == "sum":
            answer, worked = values[i] + values[j], f"{values[i]} + {values[j]}"
        computation = f"The {asked} is {worked} = {answer}."
    task = rng.choice(said)
    reading = rng.choice((f"In the chart, {seen}.", f"I read {seen}.", f"The {mark}s show {seen}."))
    task_name = f"{kind}_{asked}_{'labelled' if labelled else 'axis'}"
    return _problem(rng, drawing, question, (task, reading, computation), answer, task_name)


def draw_chart(rng: random.Random, kind: str, labelled: bool, names: str, values: list[int]) -> Drawing:
    """A bar or line chart; values stand above their marks, or are read off grey lines when not ``labelled``."""
    drawing, (dx, dy) = Drawing(), shift(rng, 4)
    left, floor, unit = 22 + dx, 138 + dy, 12
    drawing.line([(left, floor), (160 + dx, floor)])
    drawing.line([(left, floor), (left, 18 + dy)])
    if not labelled:
        for tick in (0, 3, 6, 9):
            y = floor - tick * unit
            drawing.line([(left - 4, y), (left, y)])
            drawing.label(left - 12, y, str(tick), size=15)
            drawing.line([(left, y), (160 + dx, y)], grey=200)
    step = 136 / len(names)
    points = [(left + step * (i + 0.5), floor - value * unit) for i, value in enumerate(values)]
    if kind == "bar":
        for x, y in points:
            drawing.rectangle(x - 10, y, x + 10, floor)
    else:
        drawing.line(points)
        for x, y in points:
            drawing.circle(x, y, 3, filled=True)
    for (x, y), name, value in zip(points, names, values, strict=True):
        drawing.label(x, floor + 14, name)
        if labelled:
            drawing.label(x, y - 11, str(value))
        else:
            drawing.value_at(x, y, value)
    return drawing


def _problem(
    rng: random.Random, drawing: Drawing, question: str, worked: tuple[str, str, str], answer: int, name: str
) -> Problem:
    return Problem(drawing, question, (*worked, rng.choice(ANSWER_LINES) % answer), str(answer), name)
