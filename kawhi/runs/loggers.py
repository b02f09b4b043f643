"""Where people look at metrics: TensorBoard or Weights & Biases, beside the run directory's own files.

verl sends its metrics and ours, step by step.  The benchmarks' scores follow from here when the cell is finished.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.runs.verl_command import logger_environment, project

OFFLINE = ("offline", "dryrun", "disabled")
_START_SECONDS = 30


class NotSent(CellError):
    """Scores that did not arrive."""

    code = 75  # try again: kawhi.runs.stages.TRY_AGAIN


def validate_logger(cell: DictConfig) -> None:
    """Raises:
    CellError: a logger that could not be reached, which would otherwise be found out when training starts.
    """
    loggers = list(cell.verl.trainer.logger)
    if "file" not in loggers:
        raise CellError(f"verl.trainer.logger={loggers} must contain file, which the health checks read")
    for name in ("tensorboard", "wandb"):
        if name in loggers and find_spec(name) is None:
            raise CellError(f"the package {name} is not installed: run `pip install {name}`, or set logger=file")
    if "wandb" in loggers and os.environ.get("WANDB_MODE", "online") not in OFFLINE:
        import wandb

        if not wandb.login(prompt=False):
            raise CellError(
                "wandb has no key: run `wandb login`, or set WANDB_API_KEY, WANDB_MODE=offline or logger=file"
            )


def send_scores(cell: DictConfig, run_directory: Path, benchmarks: Mapping[str, Mapping[str, Any]]) -> None:
    """``score/<task>`` at the last step; at step 0 for an untrained model.

    Raises:
        NotSent: a logger failed.
    """
    loggers = list(cell.verl.trainer.logger)
    scores = {f"score/{task}": float(found["score"]) for task, found in benchmarks.items()}
    if not scores:
        return
    step = 0 if cell.study.name == "baseline" else int(cell.steps)
    for name, send in (("tensorboard", _to_tensorboard), ("wandb", _to_wandb)):
        if name not in loggers:
            continue
        try:
            send(cell, run_directory, scores, step)
        except Exception as error:  # whatever a network or a server comes up with
            reason = " ".join(str(error).split()) or type(error).__name__
            raise NotSent(
                f"the scores did not reach {name} ({reason}): the same command sends them again, with logger=file it "
                "does without"
            ) from error


def _to_tensorboard(cell: DictConfig, run_directory: Path, scores: dict[str, float], step: int) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run_directory / "tensorboard")) as writer:
        for name, score in scores.items():
            writer.add_scalar(name, score, step)


def _to_wandb(cell: DictConfig, run_directory: Path, scores: dict[str, float], step: int) -> None:
    import wandb

    told = logger_environment(cell, run_directory)
    run = wandb.init(
        project=project(cell),
        name=run_directory.name,
        dir=told["WANDB_DIR"],
        id=told["WANDB_RUN_ID"],
        resume="allow",
        settings=wandb.Settings(init_timeout=_START_SECONDS),
    )
    # A run that was resumed has its last step behind it, and wandb drops what comes for an earlier one.
    run.log(scores, step=max(step, run.step))
    run.finish()
