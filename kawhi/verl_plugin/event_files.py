"""TensorBoard's curves of a run that was killed and goes on: verl's writer cannot say that steps come again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from verl.utils.checkpoint.checkpoint_manager import find_latest_ckpt_path


def purge_repeated_steps(trainer: Any) -> None:
    """Tells TensorBoard to forget the steps that an earlier launch wrote and this one repeats.

    Args:
        trainer: verl's block ``trainer``.
    """
    folder = Path(os.environ.get("TENSORBOARD_DIR", ""))
    if "tensorboard" not in trainer.logger or not list(folder.glob("events.out.tfevents.*")):
        return
    from torch.utils.tensorboard import SummaryWriter

    SummaryWriter(str(folder), purge_step=step_to_resume(trainer) + 1).close()


def step_to_resume(trainer: Any) -> int:
    """Step of the checkpoint that verl will load; 0 for none."""
    if trainer.resume_mode == "disable":
        return 0
    if trainer.resume_mode == "resume_path":
        path = trainer.resume_from_path
    else:
        path = find_latest_ckpt_path(trainer.default_local_dir)
    return int(str(path).rsplit("global_step_", 1)[1].strip("/")) if path else 0
