"""From a cell to its record, with small real processes in place of verl and lmms-eval."""

from __future__ import annotations

import json
import os
import sys

import pytest
from omegaconf import open_dict

from kawhi import fork_server
from kawhi.base import lost
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.processes import run
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import STAGES as STUDIES
from kawhi.runs import cell as module
from kawhi.runs import training as training_module
from kawhi.runs.cell import run_cell
from kawhi.runs.cell_folders import place_of
from kawhi.runs.stages import TRY_AGAIN, StageFailed, Status, Stopped, last_error, require_success, run_module
from tests.base.test_lost import prompt
from tests.cells import cell, finish, metrics_row
from tests.runs.test_checkpoints import save

OF_TRAINING = STUDIES["training"]
STAGES = (*OF_TRAINING, "evaluate", "record")
NOTE = "open('ran', 'a').write('{stage}\\n')"
DOES = {
    "evaluate": "[open(f'eval/{each}/score.json', 'w').write('{}') for each in sys.argv[2:]]",
    "record": "folders = [f'eval/{each}/' for each in sys.argv[2:]] or ['']; "
    "[open(f'{each}record.json', 'w').write('{}') for each in folders]",
}


@pytest.fixture
def harness(tmp_path, monkeypatch):
    """Stages that note that they ran; ``codes`` says what else a stage does, ``limits`` for how long."""

    class Harness:
        cell = cell(tmp_path)
        place = place_of(cell)
        run_directory = place.run
        codes: dict[str, str] = {}  # noqa: RUF012
        limits: dict[str, float] = {}  # noqa: RUF012

        def ran(self) -> list[str]:
            return (self.run_directory.path / "ran").read_text().split()

        def status(self) -> dict:
            return json.loads(self.run_directory.status.read_text())

    harness = Harness()

    def work(_, run_directory, *, stage, module="", words=()):
        log, limit = run_directory.log(stage), harness.limits.get(stage, 30)
        code = f"import os, sys; os.chdir(sys.argv[1]); {NOTE.format(stage=stage)}; "
        code += harness.codes.get(stage, DOES.get(stage, ""))
        command = [sys.executable, "-c", code, str(run_directory.path), *words]
        ended = run(command, environment=dict(os.environ), run_directory=run_directory.path, log=log, limit=limit)
        require_success(stage, ended, log, limit)
        return ended

    monkeypatch.setattr(module, "run_module", work)
    monkeypatch.setattr(module, "train", lambda cell, run_directory, status: work(cell, run_directory, stage="train"))
    return harness


def test_the_real_stages_have_the_names_that_limits_have(tmp_path):
    named = {stage for stages in STUDIES.values() for stage in stages}
    named.add("evaluate")
    assert {*module._MODULES, "train"} == named
    assert set(cell(tmp_path).scale.limits) == named | {"step", "stop", "weight_sync"}


def test_a_study_without_training_has_its_own_stages(harness):
    harness.cell.study.name = "grounding"
    with open_dict(harness.cell):
        harness.cell.study.image, harness.cell.study.seed = "blank", 0
    harness.run_directory = place_of(harness.cell).run
    run_cell(harness.cell)
    assert harness.ran() == ["prepare", "grounding", "record"]


def test_a_cell_goes_through_its_stages_to_its_record(harness):
    assert run_cell(harness.cell, overrides=["steps=3"]) == harness.place
    assert harness.ran() == list(STAGES)
    assert harness.status()["stage"] == "done"
    assert harness.run_directory.load_config().seeds == harness.cell.seeds
    (evaluation,) = harness.place.evaluations
    assert evaluation.load_config().benchmarks == harness.cell.benchmarks
    for folder in (harness.run_directory, evaluation):
        assert folder.command() == "python experiments/run.py steps=3"
    for stage in OF_TRAINING:
        assert json.loads(harness.run_directory.stage(stage).read_text())["seconds"] > 0


def test_a_cell_with_a_record_is_done(harness):
    assert finish(harness.cell) == harness.place
    harness.cell.scale.needs.memory_gib = 10**6  # not even asked for
    assert run_cell(harness.cell) == harness.place
    assert not (harness.run_directory.path / "ran").exists()
    assert not harness.run_directory.status.exists()


def test_a_failing_stage_stops_the_cell_and_is_done_again(harness):
    harness.codes["merge"] = "print('weights\\nValueError: bad shard'); raise SystemExit(3)"
    with pytest.raises(StageFailed) as failed:
        run_cell(harness.cell)
    log = harness.run_directory.log("merge")
    assert str(failed.value) == f"merge failed: ValueError: bad shard (log: {log})"
    assert failed.value.code == 3
    assert harness.status()["stage"] == "failed"
    assert harness.status()["reason"] == str(failed.value)
    assert harness.ran() == ["prepare", "train", "merge"]
    assert not harness.run_directory.record.exists()

    del harness.codes["merge"]
    run_cell(harness.cell)
    assert harness.ran() == ["prepare", "train", "merge", "merge", "record", "evaluate", "record"]
    assert harness.status()["stage"] == "done"
    notes = harness.run_directory.launch_notes()  # of every launch, what worked
    assert [note["stage"] for note in notes] == harness.ran()[:-2]
    notes += harness.place.evaluations[0].launch_notes()
    assert notes[-1]["stage"] == "evaluate"
    assert len(notes) == len(harness.ran()) - 1
    assert all(len(note["git"]["commit"]) == 40 and note["versions"]["torch"] and note["hardware"] for note in notes)
    assert [note["stage"] for note in notes if note.get("attention") == "sdpa"] == ["train", "evaluate"]


@pytest.mark.parametrize(
    ("code", "limit", "exit_code", "sentence"),
    [
        ("raise SystemExit(75)", 30, TRY_AGAIN, r"train failed: the log is empty"),
        (
            "os.kill(os.getpid(), 9)",
            30,
            TRY_AGAIN,
            r"train was ended by signal 9: the system may have run out of memory",
        ),
        ("os.kill(os.getpid(), 15)", 30, TRY_AGAIN, r"train was ended by signal 15 \("),
        ("import time; time.sleep(60)", 1, TRY_AGAIN, r"train took longer than its limit of 1 s and was ended"),
        ("raise KeyError('x')", 30, 1, r"train failed: KeyError: 'x'"),
    ],
    ids=["75", "out of memory", "signal", "time limit", "exception"],
)
def test_what_may_succeed_later_has_its_own_exit_code(harness, code, limit, exit_code, sentence):
    harness.codes["train"], harness.limits["train"] = code, limit
    with pytest.raises(StageFailed, match=f"^{sentence}") as failed:
        run_cell(harness.cell)
    assert failed.value.code == exit_code
    assert str(harness.run_directory.log("train")) in str(failed.value)


OF_WHO_WAITS = (
    "ray.exceptions.OutOfMemoryError: 1 worker(s) were killed due to the node running low on memory. Memory on the "
    "node (IP: 192.0.2.2, ID: ec65397e277f929b1c47e7ac47b769a100db23e8733635e8db2aeb08) was 9.32GB used / 23.54GB "
    "limit (0.396020)\nOOM kill reason: Memory usage 10191237120B exceeded threshold of 7582950912B (30.0% of "
    "25276502016B limit)\n"
)
OF_THE_NODE = (
    "\x1b[33m(raylet)\x1b[0m [2026-11-30 17:42:22,478 E 15310 15310] (raylet) node_manager.cc:3517: 1 Workers (tasks / "
    "actors) killed due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: ceeadf21ccf9addfb"
    "b24142720ba182871c0ce07d7d3f79f8e96b50b, IP: 192.0.2.2) over the last time period. To see more information about "
    "the Workers killed on this node, use `ray logs raylet.out -ip 192.0.2.2`\n"
)
"""What Ray 2.56 wrote when it ended an actor: to who waited for it, and a minute later for everybody."""
RAN_OUT = (
    r"(?i)^train ran out of memory, and Ray ended a worker: .* the same command goes on \(1 Workers?.*/train\.log\)$"
)


@pytest.mark.parametrize("said", [OF_WHO_WAITS, OF_THE_NODE], ids=["who waits", "the node"])
@pytest.mark.parametrize(
    "then",
    ["raise TimeoutError('the first weight sync took longer than 900 s')", "import time; time.sleep(60)"],
    ids=["fails", "hangs"],
)
def test_a_training_that_lost_a_worker_for_want_of_memory_says_so_and_is_tried_again(harness, said, then):
    harness.codes["train"], harness.limits["train"] = f"print({said!r}, flush=True); {then}", 2
    with pytest.raises(StageFailed, match=RAN_OUT) as failed:
        run_cell(harness.cell)
    assert failed.value.code == TRY_AGAIN


OF_A_KILLED_ONE = (
    "(raylet) A worker died or was killed while executing a task by an unexpected system error. Worker PID: 27054 "
    "Worker exit type: SYSTEM_ERROR Worker exit detail: Worker unexpectedly exits with a connection error code 2. End "
    "of file. Some common causes include: (1) the process was killed by the OOM killer due to high memory usage, (2) "
    "ray stop --force was called, or (3) the worker crashed unexpectedly due to SIGSEGV or another unexpected error.\n"
)
DIED = "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.\n"
PEER = "RuntimeError: [gloo/transport/tcp/pair.cc:544] Connection closed by peer [192.0.2.2]:27012\n"


@pytest.mark.parametrize("missed", [DIED, PEER])
@pytest.mark.parametrize("then", ["raise SystemExit(1)", "import time; time.sleep(60)"], ids=["fails", "hangs"])
def test_a_worker_that_the_kernel_killed_is_want_of_memory(harness, missed, then):
    harness.codes["train"], harness.limits["train"] = f"print({OF_A_KILLED_ONE + missed!r}, flush=True); {then}", 2
    with pytest.raises(StageFailed, match=r"^train lost a worker that was killed, .* memory .* the same command goes"):
        run_cell(harness.cell)
    assert harness.status()["stage"] == "failed"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [  # Ray ends the workers of a training that failed
        (f"{OF_A_KILLED_ONE}KeyError: 'x'", "train failed: KeyError: 'x'"),
        (
            f"*** SIGSEGV received at time=1 on cpu 0 ***\n{OF_A_KILLED_ONE}{DIED}",
            r"train failed: ray\.exceptions\.ActorDiedError",
        ),
    ],
    ids=["a failure", "a crash"],
)
def test_what_is_no_want_of_memory_is_not_called_so(harness, said, sentence):
    harness.codes["train"] = f"print({said!r}); raise SystemExit(1)"
    with pytest.raises(StageFailed, match=rf"^{sentence}") as failed:
        run_cell(harness.cell)
    assert failed.value.code == 1


def test_memory_of_a_gpu_is_no_memory_of_the_machine(harness):
    harness.codes["train"] = (
        "print('0 Workers killed due to memory pressure (OOM)'); raise MemoryError('CUDA out of memory')"
    )
    with pytest.raises(StageFailed, match=r"^train failed: MemoryError: CUDA out of memory") as failed:
        run_cell(harness.cell)
    assert failed.value.code == 1


def test_an_interrupted_cell_says_so(harness, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_cell(harness.cell)
    assert harness.status()["stage"] == "stopped"
    assert not harness.run_directory.stage("train").exists()


def test_a_cell_that_is_running_is_left_alone(harness):
    with harness.run_directory.locked(), pytest.raises(CellError, match="another process is running this cell"):
        run_cell(harness.cell)
    assert not harness.run_directory.status.exists()


def test_a_machine_that_is_too_small_is_told_before_anything_is_written(harness, monkeypatch):
    monkeypatch.delenv(fork_server.VARIABLE, raising=False)
    harness.cell.scale.needs.memory_gib = 10**6
    with pytest.raises(CellError, match="a cell needs about 1e\\+06 GiB of memory"):
        run_cell(harness.cell)
    assert not harness.run_directory.path.exists()


@pytest.fixture
def training(tmp_path, monkeypatch):
    """Runs the real train stage on a trainer that writes the metrics it is given."""
    asked = cell(tmp_path, "steps=3")
    run_directory = place_of(asked).run
    write_json(run_directory.path / "data.json", {"train": "t", "validation": "v"})
    run_directory.checkpoints.mkdir(parents=True)

    def train(rows, log="", then="") -> RunDirectory:
        lines = "".join(json.dumps({"step": row["step"], "data": row}) + "\n" for row in rows)
        code = f"import os; open(os.environ['VERL_FILE_LOGGER_PATH'], 'w').write({lines!r}); print({log!r})"
        # The pause lets the harness look at the metrics while the command runs.
        command = [sys.executable, "-c", code + "; import time; time.sleep(1.2)" + then]
        monkeypatch.setattr(training_module, "verl_command", lambda *_, **__: command)
        assert training_module.train(asked, run_directory, Status(run_directory, 3)).seconds > 0.5
        return run_directory

    train.run_directory, train.cell = run_directory, asked
    return train


def test_training_reports_its_steps(training):
    run_directory = training([metrics_row(step) for step in (1, 2, 3)])
    status = json.loads(run_directory.status.read_text())
    assert (status["stage"], status["step"], status["steps"], status["reward"]) == ("train", 3, 3, 0.25)
    assert run_directory.checkpoints.exists()


def test_a_run_that_is_not_trustworthy_is_failed_and_not_resumed(training):
    with pytest.raises(StageFailed, match=r"not trustworthy: metrics cover 2 steps"):
        training([metrics_row(1), metrics_row(2)])
    assert not training.run_directory.checkpoints.exists()


def killed_after(run_directory: RunDirectory, step: int) -> None:
    """What a launch leaves that was killed as soon as it had logged this step, with a checkpoint of every step."""
    rows = [{"step": number, "data": metrics_row(number)} for number in range(1, step + 1)]
    run_directory.new_metrics_file().write_text("".join(json.dumps(row) + "\n" for row in rows))
    for number in range(1, step + 1):
        save(run_directory.checkpoints, number)


def test_training_goes_on_from_the_last_whole_checkpoint(training):
    run_directory = training.run_directory
    killed_after(run_directory, 2)
    (run_directory.checkpoints / "global_step_2" / "data.pt").write_bytes(b"")
    seen = "; print(open('{}/latest_checkpointed_iteration.txt').read(), os.listdir('{}'))".format(
        *(2 * [run_directory.checkpoints])
    )
    training([metrics_row(2), metrics_row(3)], then=seen)
    assert run_directory.log("train").read_text().split("\n")[1].startswith("1 [")
    assert "global_step_2" not in run_directory.log("train").read_text()
    assert (run_directory.path / "train" / "metrics-1-after-1.jsonl").exists()
    assert [row["step"] for row in run_directory.metrics()] == [1, 2, 3]
    merged = [json.loads(line) for line in run_directory.merged_metrics.read_text().splitlines()]
    assert merged == run_directory.metrics()
    # Time left is reckoned from the steps of this launch.
    assert json.loads(run_directory.status.read_text())["first_step"] == 3


def test_a_training_that_was_killed_when_it_was_done_is_not_launched_again(training, monkeypatch):
    run_directory = training.run_directory
    killed_after(run_directory, 3)
    monkeypatch.setattr(training_module, "verl_command", lambda *_, **__: pytest.fail("launched"))
    assert training_module.train(training.cell, run_directory, Status(run_directory, 3)).seconds == 0
    assert len(run_directory.merged_metrics.read_text().splitlines()) == 3
    assert (run_directory.checkpoints / "global_step_3").exists()


def test_data_that_two_launches_lost_is_not_drawn_a_third_time(training, monkeypatch):
    run_directory = training.run_directory
    for number in range(2):
        killed_after(run_directory, number)
        monkeypatch.setattr(training_module, "verl_command", lambda *_, **__: pytest.fail("launched"))
        lost.note(run_directory.path, ValueError("2 placeholders"), prompt(7, id="q7"))
    with pytest.raises(
        StageFailed,
        match=r"two launches of this training lost responses of the same data, row 7 \(id q7, .*'\): ValueError: 2 "
        r"placeholders: mend or drop it in data.train_file, or mend what failed and remove .*lost.jsonl to try",
    ):
        training_module.train(training.cell, run_directory, Status(run_directory, 3))
    lost.lost_file(run_directory.path).unlink()
    training([metrics_row(step) for step in (1, 2, 3)])


def test_a_training_that_stops_as_asked_says_after_which_step(training):
    asked = f"; open({str(training.run_directory.stop_request)!r}, 'w')"
    with pytest.raises(Stopped, match=r"^asked to stop after step 2; the same command goes on$") as stopped:
        training([metrics_row(1), metrics_row(2)], then=asked)
    assert stopped.value.code == TRY_AGAIN
    assert not training.run_directory.merged_metrics.exists()


def test_a_request_in_the_last_step_finds_the_training_done(training):
    asked = f"; open({str(training.run_directory.stop_request)!r}, 'w')"
    training([metrics_row(step) for step in (1, 2, 3)], then=asked)
    assert training.run_directory.merged_metrics.exists()


def test_a_sick_training_that_is_asked_to_stop_is_failed(training):
    """Its log goes with the next launch, and the error would be forgotten."""
    asked = f"; open({str(training.run_directory.stop_request)!r}, 'w')"
    with pytest.raises(StageFailed, match="not trustworthy: a worker logged an error: ERROR: x") as failed:
        training([metrics_row(1)], log="ERROR: x", then=asked)
    assert failed.value.code == 1
    assert not training.run_directory.checkpoints.exists()


@pytest.mark.parametrize("method", ["kawhi", "off"])
def test_a_training_that_does_not_stop_is_ended_and_goes_on_from_its_checkpoint(training, method):
    """verl's own trainer does not look for the request, and is not waited for."""
    training.cell.kawhi.method, training.cell.scale.limits.stop = method, 1 if method == "kawhi" else 600
    killed_after(training.run_directory, 1)
    asked = f"; open({str(training.run_directory.stop_request)!r}, 'w'); time.sleep(600)"
    with pytest.raises(Stopped, match=r"^asked to stop in train, which had no time to save and goes on after step 1;"):
        training([metrics_row(2)], then=asked)
    assert (training.run_directory.checkpoints / "global_step_1").exists()


def test_a_training_that_hangs_is_ended_and_goes_on_from_its_checkpoint(training):
    training.cell.scale.limits.step = 1
    killed_after(training.run_directory, 1)
    with pytest.raises(StageFailed, match=r"^train has logged no step for 1 s .* the same command goes on") as failed:
        training([metrics_row(2)], then="; time.sleep(600)")
    assert failed.value.code == TRY_AGAIN
    assert (training.run_directory.checkpoints / "global_step_1").exists()


@pytest.mark.parametrize("ended", ["; time.sleep(600)", "; raise KeyError('x')"])
def test_an_error_of_who_lost_a_worker_for_want_of_memory_sets_nothing_aside(training, ended):
    training.cell.scale.limits.stop = 1
    killed_after(training.run_directory, 1)
    lost_one = f"{OF_WHO_WAITS}(vLLMHttpServer pid=7) ERROR 11-30 [async_llm.py:1] EngineDeadError\n"
    with pytest.raises(StageFailed, match=RAN_OUT) as failed:
        training([metrics_row(2)], log=lost_one, then=ended)
    assert failed.value.code == TRY_AGAIN
    assert (training.run_directory.checkpoints / "global_step_1").exists()
    assert not training.run_directory.stop_request.exists()


def test_want_of_memory_does_not_excuse_a_sick_training(training):
    training.cell.scale.limits.stop = 1
    sick = [metrics_row(step) | {"training/rollout_actor_probs_pearson_corr": 0.06} for step in (1, 2)]
    with pytest.raises(StageFailed, match="not trustworthy: two steps in a row") as failed:
        training(sick, log=OF_WHO_WAITS, then="; time.sleep(600)")
    assert failed.value.code == 1


def test_a_failure_is_a_failure_also_when_asked_to_stop(training):
    asked = f"; open({str(training.run_directory.stop_request)!r}, 'w'); raise KeyError('x')"
    with pytest.raises(StageFailed, match="train failed: KeyError: 'x'") as failed:
        training([metrics_row(1)], then=asked)
    assert failed.value.code == 1


def test_a_stage_beside_training_is_ended_at_once(harness, monkeypatch):
    log = harness.run_directory.log("merge")

    others = module.run_module

    def merge(asked, run_directory, *, stage, module):
        if stage != "merge":
            return others(asked, run_directory, stage=stage, module=module)
        asked.scale.limits.merge = 60
        with monkeypatch.context() as within:  # undone before the fork server's block ends, which puts it back, too
            within.setattr(sys, "executable", str(script))
            return run_module(asked, run_directory, stage="merge", module="m")

    harness.run_directory.path.mkdir(parents=True)
    script = harness.run_directory.path / "script"
    script.write_text(f"#!/bin/sh\ntouch {harness.run_directory.stop_request}\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(module, "run_module", merge)
    with pytest.raises(Stopped, match=r"^asked to stop in merge; the same command goes on$"):
        run_cell(harness.cell)
    assert log.exists()
    assert harness.status()["stage"] == "stopped"


def test_a_request_counts_between_stages_and_not_for_a_later_run(harness):
    harness.codes["train"] = f"open({str(harness.run_directory.stop_request)!r}, 'w')"
    harness.run_directory.path.mkdir(parents=True)
    harness.run_directory.stop_request.touch()  # of an earlier run
    with pytest.raises(Stopped) as stopped:
        run_cell(harness.cell)
    assert str(stopped.value) == "asked to stop before merge; the same command goes on"
    assert stopped.value.code == TRY_AGAIN
    assert harness.status()["stage"] == "stopped"
    assert harness.status()["reason"] == str(stopped.value)
    assert harness.ran() == ["prepare", "train"]
    run_cell(harness.cell)
    assert harness.ran() == list(STAGES)


@pytest.mark.parametrize(
    ("log", "telling"),
    [
        ("", "the log is empty"),
        ("\n \n", "the log is empty"),
        ("RuntimeError: its own\n\x1b[36m(Worker pid=3)\x1b[0m KeyError: told later\n", "RuntimeError: its own"),
        ("(Worker pid=3) KeyError: alone\nlast", "(Worker pid=3) KeyError: alone"),
        ("a\nlast\n\n", "last"),
        ("ValueError: first\nray.RayTaskError: second\nshutting down", "ray.RayTaskError: second"),
        ("torch.OutOfMemoryError: no memory\nstep: 3", "torch.OutOfMemoryError: no memory"),
        ("\x1b[36m(pid=1)\x1b[0m KeyError: 'x'\nbye", "\x1b[36m(pid=1)\x1b[0m KeyError: 'x'"),
        ("no error here: fine\nAn Error\nbye", "bye"),
        ("E" * 1000, "E" * 400),
    ],
)
def test_the_most_telling_line_of_a_log(log, telling):
    assert last_error(log) == telling
