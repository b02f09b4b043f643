"""Metrics and scores where people look, and what happens when nobody can be reached there."""

from __future__ import annotations

import json
import sys
import time
from importlib.machinery import ModuleSpec

import pytest

from kawhi.base.errors import CellError
from kawhi.runs import loggers
from kawhi.runs.loggers import NotSent, send_scores, validate_logger
from kawhi.runs.verl_command import command, own_environment
from tests.cells import cell

SCORES = {"kawhi_tiny": {"score": 42.5, "n": 32}}


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "tiny_grpo_kawhi-0123456789ab"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def _no_wandb_around(monkeypatch, tmp_path):
    """Neither a key nor a mode of this machine."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()  # it reads the environment once


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder)).Reload()
    return {name: [(each.step, each.value) for each in read.Scalars(name)] for name in read.Tags()["scalars"]}


def test_each_run_has_its_own_place(tmp_path, run):
    metrics = run / "train" / "metrics-0.jsonl"
    assert not {"TENSORBOARD_DIR", "WANDB_DIR"} & own_environment(cell(tmp_path), metrics).keys()
    found = own_environment(cell(tmp_path, "logger=tensorboard"), metrics)
    assert found["TENSORBOARD_DIR"] == str(run / "tensorboard")
    found = own_environment(cell(tmp_path, "logger=wandb"), metrics)
    assert (found["WANDB_DIR"], found["WANDB_RUN_ID"], found["WANDB_RESUME"]) == (str(run), "0123456789ab", "allow")


def test_loggers_call_a_run_by_its_directory(tmp_path, run):
    asked = cell(tmp_path, "logger=wandb", "logger.project=mine")
    words = command(asked, train_file=run / "a", validation_file=run / "b", checkpoints=run / "train" / "checkpoints")
    assert "trainer.project_name=mine" in words
    assert f"trainer.experiment_name={run.name}" in words
    assert "trainer.logger=[file,wandb]" in words


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_package_is_found_before_anything_is_trained(tmp_path, monkeypatch, name):
    def spec(module: str) -> ModuleSpec | None:
        return None if module == name else ModuleSpec(module, None)

    monkeypatch.setattr(loggers, "find_spec", spec)
    validate_logger(cell(tmp_path))
    with pytest.raises(CellError, match=f"the package {name} is not installed: run `pip install {name}`"):
        validate_logger(cell(tmp_path, f"logger={name}"))


def test_wandb_needs_a_key_unless_it_is_offline(tmp_path, monkeypatch):
    asked = cell(tmp_path, "logger=wandb")
    with pytest.raises(CellError, match="wandb has no key: run `wandb login`, or set WANDB_API_KEY"):
        validate_logger(asked)
    monkeypatch.setenv("WANDB_MODE", "offline")
    validate_logger(asked)


def test_scores_stand_at_the_last_step(tmp_path, run):
    send_scores(cell(tmp_path), run, SCORES)
    assert not list(run.iterdir())  # logger=file
    send_scores(cell(tmp_path, "logger=tensorboard", "steps=7"), run, SCORES)
    assert events(run / "tensorboard") == {"score/kawhi_tiny": [(7, 42.5)]}


def test_an_untrained_model_s_scores_stand_at_step_0(tmp_path, run):
    send_scores(cell(tmp_path, "logger=tensorboard", "study=baseline"), run, SCORES)
    assert events(run / "tensorboard") == {"score/kawhi_tiny": [(0, 42.5)]}


def test_a_study_without_scores_sends_none(tmp_path, run):
    send_scores(cell(tmp_path, "logger=tensorboard", "study=timing"), run, {})
    assert not list(run.iterdir())


def test_wandb_offline_keeps_the_scores_under_the_cell_s_id(tmp_path, run, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    send_scores(cell(tmp_path, "logger=wandb", "steps=7"), run, SCORES)
    (folder,) = (run / "wandb").glob("offline-run-*")
    (written,) = folder.glob("*.wandb")
    assert written.name == "run-0123456789ab.wandb"
    deadline = time.monotonic() + 120
    while b"score/kawhi_tiny" not in written.read_bytes():  # wandb's own process writes it a moment later
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_scores_that_do_not_arrive_are_a_reason_to_try_again(tmp_path, run):
    (run / "tensorboard").write_text("a file where the folder should be")
    with pytest.raises(NotSent, match=r"the scores did not reach tensorboard .* again, with") as e:
        send_scores(cell(tmp_path, "logger=tensorboard"), run, SCORES)
    assert e.value.code == 75
    assert "\n" not in str(e.value)


def test_a_record_is_kept_when_its_scores_were_not_sent(tmp_path, monkeypatch):
    """Tables have it; the evaluation is not done, so that the same command sends them."""
    from kawhi.runs import record
    from kawhi.runs.cell import save_evaluations
    from kawhi.runs.cell_folders import place_of

    asked = cell(tmp_path, "logger=tensorboard", "study=baseline")
    place = place_of(asked)
    save_evaluations(asked, place)
    (evaluation,) = place.evaluations
    content = {
        "cell": {"name": "baseline-0123456789ab_kawhi_tiny", "hash": "ba9876543210"},
        "task": "kawhi_tiny",
        "result": {"score": 42.5, "n": 32},
    }
    monkeypatch.setattr(record, "build_evaluation", lambda evaluation: content)
    (place.run.path / "tensorboard").write_text("")
    with pytest.raises(NotSent):
        record.record_evaluation(evaluation)
    kept = tmp_path / "records" / "baseline-0123456789ab_kawhi_tiny-ba9876543210.json"
    assert json.loads(kept.read_text()) == content
    assert not evaluation.record.exists()
    (place.run.path / "tensorboard").unlink()
    record.record_evaluation(evaluation)
    assert json.loads(evaluation.record.read_text()) == content
    assert events(place.run.path / "tensorboard") == {"score/kawhi_tiny": [(0, 42.5)]}
