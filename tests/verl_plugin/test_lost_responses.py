"""Whose response verl has lost, and why, is in the sentence with which the training stops."""

from __future__ import annotations

import asyncio
import pkgutil

import pytest
from omegaconf import OmegaConf

from kawhi.base.lost import losses
from kawhi.runs.verl_command import _LOOPS
from kawhi.verl_plugin.lost_responses import NotingManager, NotingWorker, stop_for_lost
from tests.base.test_lost import prompt


@pytest.fixture(autouse=True)
def loops(monkeypatch):
    """verl's agent loop worker, whose loop fails for one prompt."""

    async def stock(self, sampling_params, trajectory, *, agent_name, trace=True, **kwargs):
        if kwargs["index"] == 7:
            raise ValueError("2 placeholders, 1 image")
        return kwargs["index"]

    monkeypatch.setattr(NotingWorker.__base__, "_run_agent_loop", stock)


def run(index: int):
    worker = object.__new__(NotingWorker)
    return asyncio.run(worker._run_agent_loop({}, {"step": 3}, agent_name="kawhi", **prompt(index, id=f"q{index}")))


def test_every_run_has_the_workers_that_note():
    assert pkgutil.resolve_name(_LOOPS) is NotingManager
    manager = NotingManager(OmegaConf.create({"actor_rollout_ref": {"rollout": {}, "model": {}}}), None)
    assert issubclass(manager.agent_loop_workers_class.__ray_metadata__.modified_class, NotingWorker)


def test_the_row_and_the_cause_are_noted_and_named(tmp_path, monkeypatch):
    monkeypatch.setenv("KAWHI_RUN_DIR", str(tmp_path))
    (tmp_path / "train").mkdir()
    assert run(8) == 8
    with pytest.raises(ValueError, match="2 placeholders"):
        run(7)
    assert len(losses(tmp_path)) == 1
    with pytest.raises(
        RuntimeError,
        match=r"responses of 1 prompts of this step were lost: row 7 \(id q7, 'Why is it\?'\): ValueError: 2 "
        r"placeholders, 1 image; mend or drop that data, or mend what failed \('Error in _run_prompt' in the log above",
    ):
        stop_for_lost("responses of 1 prompts of this step were")


def test_outside_the_harness_the_log_has_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("KAWHI_RUN_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="2 placeholders"):
        run(7)
    with pytest.raises(RuntimeError, match=r"4 responses were lost \('Error in _run_prompt' in the log above"):
        stop_for_lost("4 responses were")
    assert not list(tmp_path.iterdir())
