"""The tiny world's splits as parquet files."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from kawhi.data import schema
from kawhi.tiny.world import Split, problems


def write_split(path: Path, split: Split, count: int, image_size: int, seed: int) -> None:
    """``count`` problems of one split; equal arguments give equal rows."""
    rows = (
        schema.row(
            source="tiny",
            split=split,
            index=index,
            image=problem.drawing.render(image_size),
            question=problem.question,
            answer=problem.answer,
            task=problem.task,
        )
        for index, problem in enumerate(islice(problems(split, seed), count))
    )
    schema.write(path, rows)
