"""What the small stages share: read the run directory's configuration, turn a user's mistake into one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory

STAGES = {
    "training": ("prepare", "train", "merge", "evaluate", "record"),
    "timing": ("prepare", "train", "record"),
    "baseline": ("prepare", "evaluate", "record"),
    "grounding": ("prepare", "grounding", "record"),
}
"""Stages of each study, in order."""


PARTS = ("train", "evaluate")
"""What a study may be divided into, one job of a cluster each: everything before the evaluation, and the rest."""


def stages_of(study: str, part: str | None = None) -> tuple[str, ...]:
    """Stages of a study, or of one part of it; the part ``train`` of a study that trains nothing is empty.

    Raises:
        CellError: a study that does not exist.
    """
    if study not in STAGES:
        raise CellError(f"study.name={study} is not one of {', '.join(STAGES)}")
    stages = STAGES[study]
    if part is None:
        return stages
    cut = stages.index("evaluate") if "evaluate" in stages else len(stages)
    cut = cut if "train" in stages else 0
    return stages[:cut] if part == "train" else stages[cut:]


def trains(cell: DictConfig) -> bool:
    """Whether the cell's study trains a model."""
    return "train" in stages_of(cell.study.name)


def evaluates(cell: DictConfig) -> bool:
    """Whether the cell's study runs benchmarks."""
    return "evaluate" in stages_of(cell.study.name)


def stage_main(work: Callable[[DictConfig, RunDirectory], None]) -> None:
    """``python -m <stage module> RUN_DIRECTORY``; a :class:`CellError` is one sentence, and 1 or its own exit code."""
    run_directory = RunDirectory(Path(sys.argv[1]))
    try:
        work(run_directory.load_config(), run_directory)
    except CellError as error:
        print(f"CellError: {error}", file=sys.stderr)
        sys.exit(getattr(error, "code", 1))
