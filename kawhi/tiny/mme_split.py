"""A tiny MME: drawings of the tiny world under the names of MME's 14 subtasks, two yes/no questions each.

A question is made for its subtask's name as well as the tiny world allows: there are no posters or celebrities in it,
but there are letters to find and a tallest bar to name.  Of the two questions of an image one is true and one is not,
as in MME, so a model that always says the same gets no pair right.

MME: Fu et al., arXiv:2306.13394.
"""

from __future__ import annotations

import io
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kawhi.data.schema import write_table
from kawhi.tiny.drawing import Drawing
from kawhi.tiny.world import Split, draw_chart, make_problem, split_of

END = " Please answer yes or no."
"""What every question of MME ends with."""

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Pair:
    """One image and its two questions, without :data:`END`.

    Attributes:
        seen: what has to be read off the drawing for either question, in a few words.
    """

    drawing: Drawing
    seen: str
    true: str
    false: str


def pairs(subtask: str, split: Split, seed: int) -> Iterator[Pair]:
    """An endless, reproducible stream of the pairs of a subtask whose drawings belong to one split."""
    for attempt in itertools.count():
        pair = SUBTASKS[subtask](random.Random(f"mme/{subtask}/{seed}/{attempt}"))
        if split_of(pair.drawing) == split:
            yield pair


def write_mme(path: Path, image_size: int, pairs_per_subtask: int, seed: int = 0, split: Split = "heldout") -> None:
    """Parquet in the schema of MME's own files: two rows per image, which share their ``question_id``."""
    import pyarrow as pa
    from datasets import Features, Image, Value

    rows: list[dict[str, Any]] = []
    for subtask in SUBTASKS:
        for index, pair in enumerate(itertools.islice(pairs(subtask, split, seed), pairs_per_subtask)):
            buffer = io.BytesIO()
            pair.drawing.render(image_size).save(buffer, "PNG")
            name = f"{index:04d}.png"
            rows += [
                {
                    "question_id": f"{subtask}/{name}",
                    "image": {"bytes": buffer.getvalue(), "path": name},
                    "question": question + END,
                    "answer": answer,
                    "category": subtask,
                }
                for question, answer in ((pair.true, "Yes"), (pair.false, "No"))
            ]
    text = Value("string")
    features = Features(question_id=text, image=Image(), question=text, answer=text, category=text)
    write_table(path, pa.Table.from_pylist(rows, schema=features.arrow_schema))


def _figure(rng: random.Random, *tasks: str) -> tuple[Drawing, str]:
    """A drawing of the world whose task begins with one of these, and which one."""
    wanted = rng.choice(tasks)
    while not (problem := make_problem(rng)).task.startswith(wanted):
        pass
    return problem.drawing, wanted


def _chart(rng: random.Random, kind: str = "", sizes: tuple[int, int] = (2, 4)) -> tuple[Drawing, str, list[int]]:
    """A chart whose values all differ, the names of its marks, their values."""
    names = "ABCD"[: rng.randint(*sizes)]
    values = rng.sample(range(1, 10), len(names))
    return draw_chart(rng, kind or rng.choice(("bar", "line")), True, names, values), names, values


def _other(rng: random.Random, choices: Any, *taken: Any) -> Any:
    return rng.choice([choice for choice in choices if choice not in taken])


def _existence(rng: random.Random) -> Pair:
    kinds = ("rectangle", "triangle", "circle")
    drawing, kind = _figure(rng, *kinds)
    return Pair(drawing, kind, *(f"Is there a {each} in this image?" for each in (kind, _other(rng, kinds, kind))))


def _count(rng: random.Random) -> Pair:
    drawing, names, _ = _chart(rng, "bar")
    numbers = len(names), _other(rng, (2, 3, 4), len(names))
    return Pair(
        drawing, f"{len(names)} bars", *(f"Are there {_WORDS[number]} bars in this image?" for number in numbers)
    )


def _position(rng: random.Random) -> Pair:
    drawing, _, values = _chart(rng, sizes=(3, 4))
    sides = ["left", "right"]
    if values.index(max(values)) > values.index(min(values)):
        sides.reverse()
    return Pair(drawing, sides[0], *(f"Is the largest value on the {side} of the smallest value?" for side in sides))


def _color(rng: random.Random) -> Pair:
    grey = rng.random() < 0.5
    names = "ABCD"[: rng.randint(2, 4)]
    values = [rng.randint(1, 9) for _ in names]
    drawing = draw_chart(rng, rng.choice(("bar", "line")), not grey, names, values)
    questions = ["Are there grey lines in this image?", "Are all lines in this image black?"]
    return Pair(drawing, "grey" if grey else "black", *(questions if grey else reversed(questions)))


def _posters(rng: random.Random) -> Pair:
    names = "".join(sorted(rng.sample("ABCD", rng.randint(2, 3))))
    values = [rng.randint(1, 9) for _ in names]
    drawing = draw_chart(rng, rng.choice(("bar", "line")), True, names, values)
    letters = rng.choice(names), _other(rng, "ABCD", *names)
    return Pair(drawing, ", ".join(names), *(f"Is the letter {letter} on this poster?" for letter in letters))


def _extreme(rng: random.Random, which: Callable[[list[int]], int], adjective: str) -> Pair:
    drawing, names, values = _chart(rng, "bar")
    name = names[values.index(which(values))]
    return Pair(drawing, name, *(f"Is the {adjective} bar named {each}?" for each in (name, _other(rng, names, name))))


def _scene(rng: random.Random) -> Pair:
    kinds = ["bar", "line"]
    drawing, kind = _figure(rng, *kinds)
    if kind == "line":
        kinds.reverse()
    return Pair(drawing, kind, *(f"Is this image a {each} chart?" for each in kinds))


def _artwork(rng: random.Random) -> Pair:
    what = {"triangle_angle": "angles", "triangle_perimeter": "sides"}
    drawing, task = _figure(rng, *what)
    words = what[task], _other(rng, what.values(), what[task])
    return Pair(drawing, what[task], *(f"Do the numbers in this drawing belong to the {word}?" for word in words))


def _ocr(rng: random.Random) -> Pair:
    drawing, _ = _figure(rng, "rectangle")
    written = [int(character) for *_, character in drawing.glyphs]
    numbers = rng.choice(written), _other(rng, range(2, 10), *written)
    return Pair(
        drawing, ", ".join(map(str, written)), *(f"Is the number {number} written in this image?" for number in numbers)
    )


def _commonsense(rng: random.Random) -> Pair:
    drawing, names, values = _chart(rng)
    i, j = rng.sample(range(len(names)), 2)
    words = ["larger", "smaller"]
    if values[i] < values[j]:
        words.reverse()
    seen = f"{names[i]} = {values[i]}, {names[j]} = {values[j]}"
    return Pair(drawing, seen, *(f"Is {names[i]} {word} than {names[j]}?" for word in words))


def _calculation(rng: random.Random) -> Pair:
    drawing, names, values = _chart(rng)
    i, j = sorted(rng.sample(range(len(names)), 2))
    total = values[i] + values[j]
    numbers = total, _other(rng, range(3, 18), total)
    seen = f"{values[i]} + {values[j]} = {total}"
    return Pair(drawing, seen, *(f"Is the sum of {names[i]} and {names[j]} {number}?" for number in numbers))


def _translation(rng: random.Random) -> Pair:
    drawing, names, values = _chart(rng)
    i = rng.randrange(len(names))
    numbers = values[i], _other(rng, range(1, 10), values[i])
    return Pair(
        drawing,
        f"{names[i]} = {values[i]}",
        *(f"Is the value of {names[i]} {_WORDS[number]} in words?" for number in numbers),
    )


def _code(rng: random.Random) -> Pair:
    drawing, names, values = _chart(rng)
    function, number = rng.choice((("max", max(values)), ("min", min(values))))
    arguments = ", ".join(names)
    numbers = number, _other(rng, range(1, 10), number)
    return Pair(drawing, str(number), *(f"Is the output of {function}({arguments}) {n}?" for n in numbers))


SUBTASKS: dict[str, Callable[[random.Random], Pair]] = {
    "existence": _existence,
    "count": _count,
    "position": _position,
    "color": _color,
    "posters": _posters,
    "celebrity": lambda rng: _extreme(rng, max, "tallest"),
    "scene": _scene,
    "landmark": lambda rng: _extreme(rng, min, "shortest"),
    "artwork": _artwork,
    "OCR": _ocr,
    "commonsense_reasoning": _commonsense,
    "numerical_calculation": _calculation,
    "text_translation": _translation,
    "code_reasoning": _code,
}
"""Ten of perception, then four of cognition, by MME's names."""
