"""A training that is asked to stop, in verl's own loop: what takes time in a step is left out."""

from __future__ import annotations

import json

import pytest
from hydra import compose, initialize_config_module
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import trainer_base

from kawhi.base.rundir import RunDirectory
from kawhi.verl_plugin.trainer import KawhiTrainer

STEPS = 4


class Trainer(KawhiTrainer):
    """Steps that do nothing but note that they ran; ``during`` is called in each."""

    def __init__(self, save_freq, during):
        with initialize_config_module("verl.trainer.config", version_base=None):
            self.config = compose(
                "ppo_trainer",
                overrides=["trainer.logger=[file]", "trainer.val_before_train=false", f"trainer.save_freq={save_freq}"],
            )
        self.during, self.saved, self.synced = during, [], []
        self.global_steps, self.total_training_steps, self.steps_per_epoch = 0, STEPS, 2
        self.trainer_mode, self.parameter_sync_step = "sync", 1
        self.dump_executor = None

    def prepare_step(self):
        return {}

    def _step_once(self, metrics, timing_raw, sample_batch_size):
        self.during(self.global_steps)
        return KVBatchMeta(partition_id="train", keys=[], tags=[])

    def _save_checkpoint(self):
        self.saved.append(self.global_steps)

    def _compute_metrics(self, batch, metrics, timing_raw, global_steps, epoch):
        metrics["saved"] = "save_checkpoint" in timing_raw

    def on_step_end(self):
        self.synced.append(self.global_steps)

    def _start_profiling(self):
        pass

    _stop_profiling = _shutdown_dump_executor = _start_profiling


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """Trains, with a request to stop in the step ``asked``; returns the trainer and the steps it has logged."""
    run_directory, log = RunDirectory(tmp_path), tmp_path / "metrics.jsonl"
    monkeypatch.setenv("KAWHI_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("VERL_FILE_LOGGER_PATH", str(log))
    monkeypatch.setattr(trainer_base.tq, "kv_clear", lambda **_: None)

    def fit(asked, save_freq):
        def during(step):
            if step == asked:
                run_directory.stop_request.touch()

        trainer = Trainer(save_freq, during)
        trainer.fit(None)
        trainer.logger.finish()
        return trainer, {row["step"]: row["data"]["saved"] for row in map(json.loads, log.read_text().splitlines())}

    return fit


@pytest.mark.parametrize(
    ("asked", "save_freq", "saved"),
    [
        (1, 100, [1]),
        (3, 2, [2, 3]),
        (2, 2, [2]),  # verl saves this step itself: not twice
        (2, -1, [2]),  # verl would never save
    ],
)
def test_the_step_is_finished_saved_once_and_logged(fit, capfd, asked, save_freq, saved):
    trainer, logged = fit(asked, save_freq)
    assert trainer.saved == saved
    assert logged == {step: step in saved for step in range(1, asked + 1)}
    assert trainer.synced == list(range(1, asked + 1))
    assert f"Stopped as asked after step {asked}" in capfd.readouterr().out


def test_a_request_in_the_last_step_changes_nothing(fit, capfd):
    trainer, logged = fit(STEPS, 100)
    assert trainer.saved == [STEPS]
    assert list(logged) == [1, 2, 3, 4]
    assert "Stopped" not in capfd.readouterr().out


def test_nobody_asks_outside_the_harness(fit, monkeypatch):
    monkeypatch.delenv("KAWHI_RUN_DIR")
    assert list(fit(1, 100)[1]) == [1, 2, 3, 4]
