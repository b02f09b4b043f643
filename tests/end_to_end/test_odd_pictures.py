"""A training on images of every kind is as healthy as one on plain files, and learns the same."""

from __future__ import annotations

from itertools import islice

import pytest

from kawhi.data import schema
from kawhi.pictures.rgb import picture
from kawhi.tiny.world import problems
from tests.pictures.odd import files, plain

from .conftest import SMALL
from .test_killed import numbers, same_numbers

pytestmark = pytest.mark.slow

KINDS = (
    *("JPEG, orientation 6", "JPEG, orientation 3", "PNG, orientation 6", "WebP, RGBA, orientation 6"),
    *("PNG, LA", "PNG, RGBA", "GIF, one transparent colour", "PNG, palette with alpha"),
    *("PNG, 16 bits", "PGM, 16 bits", "TIFF, 16 bits, big endian", "TIFF, floats to 1"),
    *("PNG, 1 bit", "PNG, palette", "JPEG, CMYK", "PNG, 16 bits, orientation 7"),
)


def rows(odd: bool) -> list[dict]:
    """Drawn problems, each in another kind of file, or as a plain file with the same pixels."""
    found = []
    for number, (problem, kind) in enumerate(zip(islice(problems("train", seed=0), len(KINDS)), KINDS, strict=True)):
        content = files(problem.drawing.render(168))[kind].content
        found.append(
            schema.example(
                source="tiny",
                split="train",
                index=number,
                images=[content if odd else plain(picture(content))],
                prompt=f"<image>{problem.question}",
                question=problem.question,
                answer=str(problem.answer),
                task=kind,
            )
        )
    return found


def test_odd_files_train_as_plain_ones_with_the_same_pixels(workspace):
    metrics = {}
    trained = [each for each in SMALL if not each.startswith(("benchmarks", "evaluation"))]
    for name, odd in (("odd", True), ("plain", False)):
        file = workspace.folder / f"{name}.parquet"
        schema.write(file, rows(odd))
        data = (f"data.train_file={file}", f"data.validation_file={file}", f"table={name}")
        workspace.run("study=timing", "credit=kawhi", *data, *trained)
        (config,) = (workspace.folder / "runs" / name).glob("*/config.yaml")
        metrics[name] = numbers(config.parent)
    same_numbers(metrics["odd"], metrics["plain"])
    assert min(step["training/rollout_actor_probs_pearson_corr"] for step in metrics["odd"]) > 0.999
