"""The way out of a training that is asked to stop: save, log this step, leave verl's loop as after the last one."""

from __future__ import annotations

import os
from pathlib import Path

from verl.utils.debug import marked_timer

from kawhi.base.health import STOPPED
from kawhi.base.processes import RUN_DIRECTORY
from kawhi.base.rundir import RunDirectory


def stop_if_asked(trainer) -> None:
    """Called at the end of a step, before verl saves and logs it; does nothing outside the harness.

    Args:
        trainer: verl's trainer.  Its loop ends when ``total_training_steps`` is reached, which it has looked up for
            this step already: so verl saves only if ``save_freq`` says so, and still logs the step.
    """
    folder = os.environ.get(RUN_DIRECTORY)
    if folder is None or not RunDirectory(Path(folder)).stop_request.exists():
        return
    step, every = trainer.global_steps, trainer.config.trainer.save_freq
    if step >= trainer.total_training_steps:
        return
    if every <= 0 or step % every:
        with marked_timer("save_checkpoint", trainer.timing_raw):
            trainer._save_checkpoint()
    trainer.total_training_steps = step
    print(f"{STOPPED} {step}", flush=True)
