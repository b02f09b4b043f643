"""A training that becomes sick stops early; its checkpoints wait for somebody who accepts them."""

from __future__ import annotations

import json
import sys

import pytest

from kawhi.base.errors import CellError
from kawhi.base.health import CORRELATION, KL
from kawhi.commands.cli import main
from kawhi.runs import set_aside
from kawhi.runs import training as module
from kawhi.runs.stages import TRY_AGAIN, Ended, StageFailed, Status, Stopped, require_success
from tests.cells import metrics_row
from tests.runs.test_cell import training  # noqa: F401  # a fixture
from tests.runs.test_checkpoints import kept, save

TRAINER = """
import json, os, sys, time
from pathlib import Path
from tests.runs.test_checkpoints import save
rows, run = json.loads(sys.argv[1]), Path(sys.argv[2])
for row in rows:
    asked = (run / "stop").exists()
    if asked or row is rows[-1]:
        save(run / "train" / "checkpoints", row["step"])
    with open(os.environ["VERL_FILE_LOGGER_PATH"], "a") as file:
        file.write(json.dumps({"step": row["step"], "data": row}) + "\\n")
    print(row.get("says", ""), flush=True)
    if asked:
        break
    while row is not rows[-1] and json.loads((run / "status.json").read_text()).get("step") != row["step"]:
        time.sleep(0.05)  # a step takes longer than the harness needs to look at it
"""


@pytest.fixture
def trainer(training, monkeypatch):  # noqa: F811
    """Trains step by step as the plug-in does: it saves in the end, and when it finds that it is asked to stop."""
    training.cell.steps = 8

    def train(rows):
        words = [json.dumps(rows), str(training.run_directory.path)]
        monkeypatch.setattr(module, "verl_command", lambda *_, **__: [sys.executable, "-c", TRAINER, *words])
        status = Status(training.run_directory, 8)
        status.set("train")
        module.train(training.cell, training.run_directory, status)

    train.run_directory, train.cell = training.run_directory, training.cell
    return train


def rows(first=1, last=8, **of_step):
    return [metrics_row(step, **of_step.get(f"step_{step}", {})) for step in range(first, last + 1)]


SICK = {"step_3": {KL: 0.5}, "step_4": {CORRELATION: 0.5}}


def test_a_run_that_becomes_sick_at_step_3_stops_at_step_5_and_can_be_accepted(trainer):
    run = trainer.run_directory
    with pytest.raises(
        StageFailed,
        match=r"^the training run is not trustworthy: two steps in a row are outside the band, step 3: rollout_corr/kl "
        r"is 0.5 and must be within ±\S+; step 4: training/rollout_actor_probs_pearson_corr is 0.5 and must be > \S+ "
        r"\(log: .*train.log\); its checkpoints are in .*set_aside: the same command starts afresh, `kawhi accept ",
    ) as failed:
        trainer(rows(**SICK))
    assert failed.value.code == 1
    assert run.metrics()[-1]["step"] == 5
    assert not run.checkpoints.exists()
    assert kept(run.set_aside / "checkpoints") == [5]

    run.save_config(trainer.cell, ["steps=8"])
    assert main(["accept", str(run.path), "--why", "a planted fault"]) == 0
    assert not run.set_aside.exists()
    assert json.loads(run.status.read_text())["reason"] == (
        "accepted: a planted fault; the same command goes on after step 5"
    )
    trainer(rows(6, 8))
    assert [row["step"] for row in run.metrics()] == list(range(1, 9))
    (said,) = set_aside.accepted(run)
    assert (said["step"], said["why"]) == (5, "a planted fault")
    assert said["findings"][0].startswith("two steps in a row")


def test_what_was_accepted_excuses_nothing_that_comes_later(trainer):
    run = trainer.run_directory
    with pytest.raises(StageFailed):
        trainer(rows(**SICK))
    run.save_config(trainer.cell)
    set_aside.accept(run, "a planted fault")
    with pytest.raises(StageFailed, match=r"rollout_corr/kl is 0.4 at step 7 \(1 such steps\)"):
        trainer(rows(6, 8, step_7={KL: 0.4}))
    assert kept(run.set_aside / "checkpoints")[-1] == 8  # an earlier one may not have been thinned out yet
    set_aside.accept(run, "one step")
    trainer([])  # nothing is left to train, and nothing is launched
    assert [each["step"] for each in set_aside.accepted(run)] == [5, 8]


def test_one_that_is_only_slow_goes_on(trainer):
    trainer(rows(step_3={"timing_s/step": 9000.0}, step_4={"timing_s/step": 9000.0}))
    assert kept(trainer.run_directory.checkpoints) == [8]


def test_one_step_outside_the_band_stops_nothing_and_fails_the_run_in_the_end(trainer):
    with pytest.raises(StageFailed, match=r"rollout_corr/kl is 0.5 at step 3 \(1 such steps\)"):
        trainer(rows(step_3={KL: 0.5}))
    assert kept(trainer.run_directory.set_aside / "checkpoints")[-1] == 8


def test_an_error_that_a_worker_logs_stops_the_run(trainer):
    with pytest.raises(StageFailed, match="not trustworthy: a worker logged an error: ERROR: x"):
        trainer(rows(step_2={"says": "ERROR: x"}))
    assert trainer.run_directory.metrics()[-1]["step"] < 8


def test_a_run_that_is_sick_when_it_is_asked_to_stop_is_failed(trainer):
    trainer.run_directory.stop_request.touch()
    trainer.cell.scale.limits.stop = 60
    with pytest.raises(Stopped, match="after step 1;"):
        trainer(rows(step_1={KL: 0.5}))
    with pytest.raises(StageFailed, match="two steps in a row"):
        trainer([metrics_row(2, **{KL: 0.5})])


def test_the_next_launch_starts_afresh_and_takes_the_place_of_what_was_set_aside(trainer):
    run = trainer.run_directory
    with pytest.raises(StageFailed):
        trainer(rows(**SICK))
    with pytest.raises(StageFailed, match="metrics cover 2 steps"):
        trainer(rows(1, 2))
    assert kept(run.set_aside / "checkpoints") == [2]
    assert [row["step"] for row in run.metrics()] == [1, 2]


def test_what_cannot_be_accepted_says_why(trainer, capsys):
    run = trainer.run_directory
    run.save_config(trainer.cell)
    assert main(["accept", str(run.path.parent / "none"), "--why", "x"]) == 1
    assert "there is no run directory" in capsys.readouterr().err
    assert main(["accept", str(run.path), "--why", " "]) == 1
    assert "--why must say why" in capsys.readouterr().err
    with pytest.raises(CellError, match="no health check of it failed"):
        set_aside.accept(run, "x")
    assert "; its checkpoints" not in set_aside.put(run, ["sick"])
    with pytest.raises(CellError, match="no whole checkpoint to go on from"):
        set_aside.accept(run, "x")
    save(run.set_aside / "checkpoints", 1)
    run.new_metrics_file().write_text(json.dumps({"step": 1, "data": metrics_row(1)}) + "\n")
    with pytest.raises(CellError, match="was launched again since"):
        set_aside.accept(run, "x")


@pytest.mark.parametrize(
    "line",
    [
        "torch.distributed.DistNetworkError: The server socket has failed to listen on any local network address. "
        "port: 29500, useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use",
        "(WorkerDict pid=9) OSError: [Errno 98] Address already in use",
    ],
)
def test_a_port_that_was_taken_meanwhile_is_the_infrastructure_s(tmp_path, line):
    log = tmp_path / "log"
    log.write_text(f"begin\n{line}\nray.exceptions.ActorDiedError: the actor died\n")
    with pytest.raises(StageFailed, match=r"^train lost a port to another program: ") as failed:
        require_success("train", Ended(1, 3.0), log, 60)
    assert failed.value.code == TRY_AGAIN
