"""Processor seconds by step: noted while a training runs, and told in its record."""

from __future__ import annotations

import json

import pytest

from kawhi.base.rundir import RunDirectory
from kawhi.runs import record, training
from kawhi.runs.stages import Status
from tests.cells import cell, metrics_row


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A training whose processes have used as many seconds as it is told when it logs a step."""
    run = RunDirectory(tmp_path)
    spent = [0.0]
    monkeypatch.setattr(training, "processor_seconds", lambda folder: spent[0])
    config = cell(tmp_path, "study=timing", "steps=6")

    def launch(steps: dict[int, float], begin: int = 0) -> RunDirectory:
        file = run.new_metrics_file(after=begin)
        watch = training._Watch(config, run, Status(run, 6), begin)
        run.log("train").parent.mkdir(exist_ok=True)
        run.log("train").touch()
        for step, seconds in steps.items():
            with open(file, "a") as opened:
                opened.write(json.dumps({"step": step, "data": metrics_row(step)}) + "\n")
            spent[0] = seconds
            watch()
        return run

    return launch


def test_a_step_is_what_was_used_between_two_looks(watched):
    assert watched({1: 50.0, 2: 57.5, 3: 66.0}).processors() == {"2": 7.5, "3": 8.5}


def test_of_steps_that_were_not_seen_apart_nothing_is_known(watched):
    assert watched({1: 50.0, 3: 66.0, 4: 70.0}).processors() == {"4": 4.0}


def test_a_launch_that_goes_on_adds_its_own(watched):
    watched({1: 50.0, 2: 57.0})
    assert watched({3: 40.0, 4: 46.0}, begin=2).processors() == {"2": 7.0, "4": 6.0}


def test_the_record_has_them_and_every_timer_by_step(watched, tmp_path):
    run = watched({1: 50.0, 2: 57.0, 3: 66.0})
    metrics = [{"step": n, **metrics_row(n), "timing_s/step": 1.0 * n, "timing_s/gen": 0.5 * n} for n in (1, 2, 3)]
    curves = {"timing_s/step": [1.0, 2.0, 3.0], "timing_s/gen": [0.5, 1.0, 1.5]}
    for study, timers in (("timing", curves), ("training", None)):
        found = record._run(cell(tmp_path, f"study={study}"), run, metrics)
        assert found["step_processor_seconds"] == [None, 7.0, 9.0]
        assert found.get("step_timing_s") == timers
