"""What the small stages share: read the run directory's configuration, turn a user's mistake into one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory

STAGES: dict[str, tuple[str, ...]] = {
    "training": ("prepare", "train", "merge", "record"),
    "timing": ("prepare", "train", "record"),
    "baseline": (),
    "grounding": ("prepare", "grounding", "record"),
}
"""Stages of each study, in order; evaluations come after them."""

EVALUATED = ("training", "baseline")
"""Studies whose model is evaluated: the trained one, and the one that was not trained."""

EVALUATION = ("evaluate", "record")
"""Stages of an evaluation."""

PARTS = ("train", "evaluate")
"""What a cell may be divided into, one job of a cluster each: its training, and the rest."""


def stages_of(study: str, part: str | None = None) -> tuple[str, ...]:
    """Stages of a study without its evaluations, or of one part of it; ``train`` of one that trains nothing is empty.

    Raises:
        CellError: a study that does not exist.
    """
    if study not in STAGES:
        raise CellError(f"study.name={study} is not one of {', '.join(STAGES)}")
    stages = STAGES[study]
    return stages if part is None or (part == "train") == ("train" in stages) else ()


def trains(cell: DictConfig) -> bool:
    """Whether the cell's study trains a model."""
    return "train" in stages_of(cell.study.name)


def evaluates(cell: DictConfig) -> bool:
    """Whether the cell's study runs benchmarks."""
    stages_of(cell.study.name)
    return cell.study.name in EVALUATED


def stage_main(work: Callable[[DictConfig, RunDirectory], None]) -> None:
    """``python -m <stage module> RUN_DIRECTORY``; a :class:`CellError` is one sentence, and 1 or its own exit code."""
    run_directory = RunDirectory(Path(sys.argv[1]))
    try:
        work(run_directory.load_config(), run_directory)
    except CellError as error:
        print(f"CellError: {error}", file=sys.stderr)
        sys.exit(getattr(error, "code", 1))
