"""The reading world as the lab's data: an endless stream of items for each seed."""

from __future__ import annotations

from collections.abc import Iterator

from kawhi.lab.rollouts import Item
from kawhi.tiny.reading_world import Difficulty, problems
from kawhi.tiny.world import Split

__all__ = ["Difficulty", "items"]


def items(split: Split, seed: int, difficulty: Difficulty, image_size: int) -> Iterator[Item]:
    """The problems of one split in the order of a seed."""
    for index, problem in enumerate(problems(split, seed, difficulty)):
        image = problem.drawing.render(image_size)
        yield Item(index, image, problem.question, problem.answer, problem.readings)
