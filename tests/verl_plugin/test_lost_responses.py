"""Whose response verl has lost, and why, is in the sentence with which the training stops."""

from __future__ import annotations

import asyncio

import pytest

from kawhi.base.lost import losses
from kawhi.verl_plugin.lost_responses import note_lost_responses, stop_for_lost
from tests.base.test_lost import prompt


class Worker:
    """verl's agent loop worker, whose loop fails for one prompt."""

    async def _run_agent_loop(self, sampling_params, trajectory, *, agent_name, trace=True, **kwargs):
        if kwargs["index"] == 7:
            raise ValueError("2 placeholders, 1 image")
        return kwargs["index"]


def run(index: int):
    class Noted(Worker):
        pass

    for _ in range(2):  # twice is once
        note_lost_responses(Noted)
    return asyncio.run(Noted()._run_agent_loop({}, {"step": 3}, agent_name="kawhi", **prompt(index, id=f"q{index}")))


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
