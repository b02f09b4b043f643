"""What a run directory holds of its evaluation: samples, images and scores by benchmark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.evaluation.samples import SCHEMA, Sample, read_images, read_samples

SAMPLES, IMAGES, SCORE = "samples.parquet", "images.parquet", "score.json"


def open_run(path: Path) -> RunDirectory:
    """Raises:
    CellError: it is no run directory.
    """
    run = RunDirectory(path)
    if not run.config.is_file():
        raise CellError(f"{path} is not a run directory (it has no config.yaml); `kawhi status` lists those there are")
    return run


def tasks_with_samples(run: RunDirectory) -> list[str]:
    """Tasks whose responses are there, judged or not."""
    return sorted(file.parent.name for file in run.evaluation("*").parent.glob(f"*/{SAMPLES}"))


def samples_of(run: RunDirectory, task: str) -> list[Sample]:
    """Raises:
    CellError: there are none, or they are not in this version's form.
    """
    file = run.evaluation(task) / SAMPLES
    if not file.is_file():
        raise CellError(f"{run.path} has no samples of {task}; it has {', '.join(tasks_with_samples(run)) or 'none'}")
    try:
        missing = sorted(set(SCHEMA.names) - set(pq.read_schema(file).names))
    except pa.ArrowInvalid as error:
        raise CellError(f"{file} is not a parquet file ({error}); delete it and evaluate again") from error
    if missing:
        raise CellError(f"{file} lacks {', '.join(missing)}: another version wrote it; delete it and evaluate again")
    return read_samples(file)


def images_of(run: RunDirectory, task: str) -> dict[str, bytes]:
    """Key -> encoded image; empty where none were kept."""
    file = run.evaluation(task) / IMAGES
    return read_images(file) if file.is_file() else {}


def score_of(run: RunDirectory, task: str) -> dict[str, Any] | None:
    """``score.json``; ``None`` while the benchmark is not scored."""
    file = run.evaluation(task) / SCORE
    return json.loads(file.read_text()) if file.is_file() else None
