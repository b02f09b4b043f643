"""A study's training through verl, with vLLM's rollouts; the merged model is measured as the lab measures its own."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from kawhi import fork_server
from kawhi.base.checkout import resolve_package_paths
from kawhi.lab.evaluation import Evaluator
from kawhi.lab.policy import Policy
from kawhi.lab.run_files import Run, make
from kawhi.lab.student import Schedule
from kawhi.runs.cell import run_cell
from kawhi.runs.validation import validate
from kawhi.runs.verl_command import environment


def make_through_verl(runs: Sequence[Run], jobs: int, told: Callable[[Run], None], folder: Path) -> None:
    """Makes what is missing, as :func:`kawhi.lab.run_files.make`, with verl in the place of the lab's loop.

    Args:
        folder: for verl's runs, records and data, which are no rows of the papers' tables.

    Raises:
        CellError: a configuration that verl cannot train, before anything starts, or a run that failed.
    """
    folder = folder.resolve()
    for run in {run.file.parent: run for run in runs if not run.done}.values():
        validate(cell_of(run.cell, run.schedule.seed, folder))
    some = runs[0].cell
    with fork_server.running(environment(some, folder / "unused"), wanted=some.scale.device == "cpu"):
        make(runs, jobs, told, partial(train, folder=folder))


def cell_of(cell: DictConfig, seed: int, folder: Path) -> DictConfig:
    """The cell that verl trains: ``seed`` draws its prompts and its rollouts, as in the lab.

    Args:
        folder: for its runs, records and data, which are no rows of the papers' tables.
    """
    own = deepcopy(cell)
    own.seeds.data = own.seeds.rollout = seed
    for name in own.paths:
        own.paths[name] = str(folder / name)
    return own


def train(cell: DictConfig, schedule: Schedule, folder: Path) -> dict[str, Any]:
    """Trains what is not trained yet; the result is as that of :func:`kawhi.lab.student.train`, measured at both ends.

    Raises:
        CellError: something the user can mend.
        StageFailed: a stage failed; its log is named.
    """
    began = time.time()
    own = cell_of(cell, schedule.seed, folder)
    # A bar is shown meanwhile; what a stage says is in its log.
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        place = run_cell(own, "train", overrides=())
    torch.set_num_threads(1)
    measured = [
        Evaluator(Policy(resolve_package_paths(str(model))), cell, schedule.evaluation)(step)
        for step, model in ((0, cell.model.path), (cell.steps, place.run.merged))
    ]
    return {"measured": measured, "cell": place.run.path.name, "seconds": time.time() - began}
