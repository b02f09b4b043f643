"""What an evaluation's folder holds: samples, images, score; and which evaluations a path stands for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.evaluation.samples import SCHEMA, Sample, read_images, read_samples

SAMPLES, IMAGES, SCORE, GENERATION = "samples.parquet", "images.parquet", "score.json", "generation.json"


def open_evaluations(path: Path, task: str | None = None) -> list[RunDirectory]:
    """The evaluations with responses, judged or not, that a path stands for: those of a run directory, or one itself.

    Args:
        task: only this benchmark's.

    Raises:
        CellError: it is neither, or there are none.
    """
    run = RunDirectory(path.resolve())
    if not run.config.is_file():
        raise CellError(f"{path} is not a run directory (it has no config.yaml); `kawhi status` lists those there are")
    every = [run] if path.resolve().parent.name == "eval" else run.evaluations()
    found = [each for each in every if (each.path / SAMPLES).is_file()]
    if not found:
        raise CellError(f"{path} has no samples yet: its stage evaluate has not come that far")
    chosen = [each for each in found if task in (None, each.task)]
    if not chosen:
        raise CellError(f"{path} has no samples of {task}; it has {', '.join(sorted({each.task for each in found}))}")
    chosen[0].load_config()  # includes somebody's own benchmarks
    return chosen


def by_task(path: Path, task: str | None = None) -> dict[str, RunDirectory]:
    """As :func:`open_evaluations`, where a benchmark that was evaluated in several ways does not do.

    Raises:
        CellError: it was.
    """
    found = open_evaluations(path, task)
    if several := [task for task, count in Counter(each.task for each in found).items() if count > 1]:
        names = ", ".join(str(each.path) for each in found if each.task == several[0])
        raise CellError(f"{several[0]} was evaluated in several ways: name the folder of one of them, {names}")
    return {each.task: each for each in found}


def only_evaluation(path: Path, task: str | None = None) -> RunDirectory:
    """As :func:`by_task`, of which there must be one.

    Raises:
        CellError: there are several.
    """
    found = by_task(path, task)
    if len(found) > 1:
        raise CellError(f"{path} has samples of {', '.join(found)}; choose one with --benchmark")
    return next(iter(found.values()))


def samples_of(evaluation: RunDirectory) -> list[Sample]:
    """Raises:
    CellError: there are none, or they are not in this version's form.
    """
    file = evaluation.path / SAMPLES
    if not file.is_file():
        raise CellError(f"{evaluation.path} has no samples")
    try:
        missing = sorted(set(SCHEMA.names) - {"cluster"} - set(pq.read_schema(file).names))
    except pa.ArrowInvalid as error:
        raise CellError(f"{file} is not a parquet file ({error}); delete it and evaluate again") from error
    if missing:
        raise CellError(f"{file} lacks {', '.join(missing)}: another version wrote it; delete it and evaluate again")
    return read_samples(file)


def images_of(evaluation: RunDirectory) -> dict[str, bytes]:
    """Key -> encoded image; empty where none were kept."""
    file = evaluation.path / IMAGES
    return read_images(file) if file.is_file() else {}


def score_of(evaluation: RunDirectory) -> dict[str, Any] | None:
    """``score.json``; ``None`` while the benchmark is not scored."""
    file = evaluation.path / SCORE
    return json.loads(file.read_text()) if file.is_file() else None
