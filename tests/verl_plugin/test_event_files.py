"""TensorBoard shows every step of a run once, however often it was stopped."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf
from verl.utils.tracking import Tracking

from kawhi.verl_plugin.event_files import purge_repeated_steps, step_to_resume
from tests.runs.test_loggers import events


def block(folder, **more):
    usual = {"logger": ["file", "tensorboard"], "resume_mode": "auto", "default_local_dir": str(folder / "checkpoints")}
    return OmegaConf.create(usual | more)


def checkpoint(folder, step: int) -> None:
    """As verl leaves one."""
    (folder / "checkpoints" / f"global_step_{step}").mkdir(parents=True)
    (folder / "checkpoints" / "latest_checkpointed_iteration.txt").write_text(str(step))


def launch(folder, trainer, steps: range, value: float) -> None:
    """What main does, and verl's own Tracking."""
    purge_repeated_steps(trainer)
    tracking = Tracking("project", "run", "tensorboard")
    for step in steps:
        tracking.log({"reward": value}, step)
    tracking.finish()


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORBOARD_DIR", str(tmp_path / "tensorboard"))


def test_steps_that_come_again_count_once(tmp_path, monkeypatch):
    """Stopped in step 6 after the checkpoint of step 3; and before that in step 2 without any."""
    clock = iter(range(1_700_000_000, 1_800_000_000))
    monkeypatch.setattr("time.time", lambda: float(next(clock)))  # event files are read in the order of their seconds
    launch(tmp_path, block(tmp_path), range(1, 3), 0.1)
    launch(tmp_path, block(tmp_path), range(1, 6), 0.2)
    checkpoint(tmp_path, 3)
    launch(tmp_path, block(tmp_path), range(4, 8), 0.3)
    found = events(tmp_path / "tensorboard")["reward"]
    assert found == [(step, pytest.approx(0.2 if step < 4 else 0.3)) for step in range(1, 8)]


def test_the_step_is_that_of_the_checkpoint_that_verl_loads(tmp_path):
    assert step_to_resume(block(tmp_path)) == 0
    checkpoint(tmp_path, 12)
    assert step_to_resume(block(tmp_path)) == 12
    assert step_to_resume(block(tmp_path, resume_mode="disable")) == 0
    given = block(tmp_path, resume_mode="resume_path", resume_from_path="/elsewhere/global_step_7/")
    assert step_to_resume(given) == 7


def test_nothing_is_written_for_other_loggers_or_the_first_launch(tmp_path):
    purge_repeated_steps(block(tmp_path))
    purge_repeated_steps(block(tmp_path, logger=["file"]))
    assert not (tmp_path / "tensorboard").exists()
