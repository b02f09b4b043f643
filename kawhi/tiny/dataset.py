"""Splits of the drawn worlds as parquet files."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from kawhi.data import schema
from kawhi.tiny.reading_world import ReadingProblem
from kawhi.tiny.world import Split
from kawhi.tiny.worlds import TINY, problems_of


def write_split(path: Path, split: Split, count: int, image_size: int, seed: int, world: str = TINY) -> None:
    """``count`` problems of one split; equal arguments give equal rows, and what is known to be read."""
    rows = (
        schema.row(
            source=world,
            split=split,
            index=index,
            image=problem.drawing.render(image_size),
            question=problem.question,
            answer=problem.answer,
            task=problem.task,
            readings=problem.readings if isinstance(problem, ReadingProblem) else None,
        )
        for index, problem in enumerate(islice(problems_of(world, split, seed), count))
    )
    schema.write(path, rows)
