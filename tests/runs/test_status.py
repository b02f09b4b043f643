"""`kawhi status` from files alone, and what it makes of what Slurm says."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.queue import cells, slurm
from kawhi.queue.slurm import Accounted, Task
from kawhi.runs import status, survey
from kawhi.runs.status import details, frame, print_status, short_names, table
from tests.cells import status_file

TRAINING = {"step": 5, "reward": 0.125, "first_step": 1, "first_time": 60.0}


def made(runs: Path, name: str, stage: str | None = None, **more) -> Path:
    """A run directory as a launcher leaves it, and as it is in a stage."""
    folder = runs / "exp" / f"tiny_grpo_{name}_s1-0-0123456789ab"
    folder.mkdir(parents=True)
    (folder / "config.yaml").touch()
    return status_file(folder, stage, **more) if stage else folder


def evaluate(folder: Path, name: str, **result) -> Path:
    """An evaluation that was asked for; with a result it is done and took five minutes."""
    evaluation = folder / "eval" / name
    write_json(evaluation / "config.yaml", {})
    if result:
        write_json(evaluation / "record.json", {"result": result, "run": {"seconds": {"generate": 300}}})
    return evaluation


def attempt(folder: Path, job: str = "12_0", ended: str | None = None, **more) -> None:
    """A job of the cluster has begun on a cell."""
    entry = {"job": job, "raw": "15", "part": "train", "node": "node1", "submission": "one", "log": None, "time": 50.0}
    write_json(folder / "jobs.json", [{**entry, "ended": ended, **more}])


def submitted(runs: Path, *folders: Path, part: str = "train", name: str = "one") -> None:
    """As by the launcher; job 12."""
    cells_ = [str(folder.relative_to(runs)) for folder in folders]
    content = {"id": name, "time": 40.0, "folder": "exp", "arrays": {part: {"part": part, "cells": cells_}}}
    write_json(runs / ".slurm" / name / "submission.json", content)
    write_json(runs / ".slurm" / name / "jobs.json", {part: "12"})


def task(index: int | None = 0, state: str = "RUNNING", reason: str = "None", part: str = "train") -> Task:
    job_id = "12" if index is None else f"12_{index}"
    return Task(job_id, "12", index, state, f"kawhi:one:{part}", "node1", reason)


class Slurm:
    """What the queue and the accounting say, and how often they were asked."""

    def __init__(self, tasks=(), accounts=(), silent=False):
        self.tasks, self.accounts, self.silent = list(tasks), {a.job_id: a for a in accounts}, silent
        self.asked: list[str] = []

    def queue(self, timeout=0):
        self.asked.append("squeue")
        if self.silent:
            raise CellError("Slurm did not answer squeue within 5 s: ask `scontrol ping`")
        return self.tasks

    def accounting(self, job_ids, timeout=0):
        wanted = set(job_ids)
        self.asked += ["sacct"] * bool(wanted)
        return {job: account for job, account in self.accounts.items() if job in wanted}


@pytest.fixture
def says(monkeypatch):
    """Sets what Slurm says."""

    def set_(*tasks, accounts=(), silent=False) -> Slurm:
        stub = Slurm(tasks, accounts, silent)
        monkeypatch.setattr(slurm, "queue", stub.queue)
        monkeypatch.setattr(slurm, "accounting", stub.accounting)
        return stub

    return set_


def seen(runs: Path) -> survey.CellState:
    ((state,),) = survey.survey(runs).cells.values()
    return state


def told(runs: Path) -> tuple[str, str, str]:
    state = seen(runs)
    return state.state, state.shown, state.note


def printed(view, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    console.print(view)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_record_is_what_makes_a_cell_done(tmp_path, says):
    stub = says(silent=True)
    folder = made(tmp_path, "kawhi", "train", **TRAINING)
    config = {"verl": {"trainer": {"n_gpus_per_node": 8, "nnodes": 2}}}
    write_json(folder / "record.json", {"config": config, "run": {"seconds": {"train": 3000}}})
    assert told(tmp_path) == ("done", "done", "")
    assert seen(tmp_path).device_hours == pytest.approx(3000 * 16 / 3600)
    evaluate(folder, "a-1", title="Charts", score=49.9)
    unfinished = evaluate(folder, "b-2")
    assert told(tmp_path)[0] == "lost", "an evaluation that was asked for is not done"
    write_json(
        unfinished / "record.json", {"result": {"title": "Math", "score": 7}, "run": {"seconds": {"score": 300}}}
    )
    assert told(tmp_path) == ("done", "done", "Charts 49.90, Math 7.00")
    assert seen(tmp_path).device_hours == 16
    assert stub.asked == [], "nothing was ever given to Slurm"


def test_a_local_cell_runs_while_its_lock_is_held(tmp_path):
    folder = made(tmp_path, "kawhi", "train", **TRAINING)
    with RunDirectory(folder).locked():
        assert told(tmp_path) == ("running", "train", "")
    assert told(tmp_path) == ("lost", "lost", NOTHING_WORKS)


def test_looking_leaves_no_file(tmp_path):
    made(tmp_path, "kawhi", "train", **TRAINING)
    before = sorted(tmp_path.rglob("*"))
    survey.survey(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_cell_that_ends_while_we_look_is_not_lost(tmp_path, monkeypatch):
    folder = made(tmp_path, "kawhi", "record")

    def held(self):
        write_json(folder / "record.json", {})
        return False

    monkeypatch.setattr(RunDirectory, "held", held)
    assert told(tmp_path)[0] == "done"


AGAIN = "stopped as Slurm asked, queued again"
NOTHING_WORKS = "in train: nothing works on it; the same command goes on from here"
CASES = {
    "nothing happened": (None, {}, ("waiting", "waiting", "not started")),
    "failed": ("failed", {"reason": "train failed: [/INST]"}, ("failed", "failed", "train failed: [/INST]")),
    "stopped": ("stopped", {"reason": "interrupted"}, ("stopped", "stopped", "interrupted")),
    "trained": ("trained", {}, ("trained", "trained", "its evaluation is not queued")),
}


@pytest.mark.parametrize(("stage", "more", "expected"), CASES.values(), ids=CASES)
def test_at_rest(tmp_path, stage, more, expected):
    made(tmp_path, "kawhi", stage, **more)
    assert told(tmp_path) == expected


def test_queued_for_the_first_time(tmp_path, says):
    folders = [made(tmp_path, "a"), made(tmp_path, "b")]
    submitted(tmp_path, *folders)
    stub = says(task(1, "PENDING", "Priority"), task(0, "PENDING", "Resources"))
    notes = [state.note for state in survey.survey(tmp_path).cells["exp"]]
    assert notes == ["Resources (job 12_0)", "Priority (job 12_1)"]
    assert stub.asked == ["squeue"]


def test_a_cell_that_was_done_is_trained_when_another_evaluation_is_asked_for(tmp_path, says):
    folder = made(tmp_path, "a", "done")
    write_json(folder / "record.json", {})
    evaluate(folder, "a-1", title="Charts", score=49.9)
    assert told(tmp_path)[0] == "done"
    evaluate(folder, "a-2")
    assert told(tmp_path) == ("trained", "trained", "its evaluation is not queued")
    submitted(tmp_path, folder, name="before")
    submitted(tmp_path, folder, part="evaluate")
    says(task(None, "PENDING", "Priority", part="evaluate"))
    assert told(tmp_path) == ("trained", "trained", "its evaluation is queued: Priority (job 12)")
    assert seen(tmp_path).awaited
    says(task(None, part="evaluate"))
    attempt(folder, job="12", part="evaluate", time=150.0)
    assert told(tmp_path) == ("running", "starting", "job 12 on node1")
    says(accounts=[Accounted("12", "CANCELLED", 0, 0)])
    attempt(folder)  # of the training
    assert told(tmp_path) == ("trained", "trained", "its evaluation did not run, job 12: it was cancelled (CANCELLED)")


def test_somebody_else_s_jobs_are_no_cells(tmp_path, says):
    submitted(tmp_path, made(tmp_path, "a"))
    other = task(0, "RUNNING")
    says(Task(**{**vars(other), "comment": "kawhi:two:train"}), Task(**{**vars(other), "comment": "(null)"}))
    assert told(tmp_path)[0] == "waiting"


def test_a_job_that_just_started_has_no_status_yet(tmp_path, says):
    folder = made(tmp_path, "a")
    submitted(tmp_path, folder)
    says(task())
    assert told(tmp_path) == ("running", "starting", "job 12_0 on node1")
    status_file(folder, "train", **TRAINING)
    assert told(tmp_path) == ("running", "train", "job 12_0 on node1")


def test_a_failure_of_an_earlier_job_does_not_hide_the_one_that_runs(tmp_path, says):
    folder = made(tmp_path, "a", "failed", reason="out of luck")  # at 100 s
    submitted(tmp_path, folder)
    says(task())
    attempt(folder, time=150.0)
    assert told(tmp_path)[1] == "starting"
    attempt(folder, time=50.0)  # it failed in this job, which has not quite ended
    assert told(tmp_path) == ("failed", "failed", "out of luck")


QUEUED = {
    "a job that was queued again says why": (
        ("train", TRAINING, "train", {"ended": AGAIN}),
        task(state="PENDING", reason="BeginTime"),
        ("queued", "queued", f"BeginTime (job 12_0); {AGAIN}"),
    ),
    "a trained cell waits for its evaluation": (
        ("trained", {}, "evaluate", None),
        task(None, "PENDING", "Resources", part="evaluate"),
        ("trained", "trained", "its evaluation is queued: Resources (job 12)"),
    ),
    "a failed training is failed although its evaluation still waits": (
        ("failed", {"reason": "no"}, "evaluate", None),
        task(None, "PENDING", "DependencyNeverSatisfied", part="evaluate"),
        ("failed", "failed", "no"),
    ),
    "a job that ended before the first stage": (
        (None, {}, "train", {"ended": "exit code 1"}),
        None,
        ("failed", "failed", "before its first stage: exit code 1"),
    ),
}


@pytest.mark.parametrize(("files", "queue", "expected"), QUEUED.values(), ids=QUEUED)
def test_files_and_the_queue_together(tmp_path, says, files, queue, expected):
    stage, more, part, job = files
    folder = made(tmp_path, "a", stage, **more)
    submitted(tmp_path, folder, part=part)
    if job:
        attempt(folder, **job)
    says(*filter(None, [queue]))
    assert told(tmp_path) == expected
    assert seen(tmp_path).awaited == (expected[0] == "trained")


@pytest.mark.parametrize(
    ("account", "state", "note"),
    [
        (("OUT_OF_MEMORY", 0, 125), "failed", "in train, job 12: it ran out of memory (OUT_OF_MEMORY, signal 125)"),
        (("NODE_FAIL", 1, 0), "failed", "in train, job 12: its node failed (NODE_FAIL, exit code 1)"),
        (("FAILED", 7, 0), "failed", "in train, job 12: FAILED, exit code 7"),
        (("CANCELLED", 0, 0), "stopped", "in train, job 12: it was cancelled (CANCELLED)"),
        (("COMPLETED", 0, 0), "lost", NOTHING_WORKS),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_job_that_could_not_say_how_it_ended(tmp_path, says, account, state, note):
    folder = made(tmp_path, "a", "train", **TRAINING)
    submitted(tmp_path, folder)
    attempt(folder, job="12")
    stub = says(accounts=[Accounted("12", *account)])
    assert told(tmp_path) == (state, state, note)
    assert stub.asked == ["squeue", "sacct"]


def test_a_job_that_never_started(tmp_path, says):
    folders = [made(tmp_path, "a"), made(tmp_path, "b"), made(tmp_path, "c")]
    submitted(tmp_path, *folders)
    cancelled, broken = Accounted("12_0", "CANCELLED", 0, 0), Accounted("12_1", "BOOT_FAIL", 0, 1)
    stub = says(accounts=[cancelled, broken])
    states = survey.survey(tmp_path).cells["exp"]
    assert [(state.state, state.note) for state in states] == [
        ("stopped", "never started, job 12_0: it was cancelled (CANCELLED)"),
        ("failed", "never started, job 12_1: its node did not start (BOOT_FAIL, signal 1)"),
        ("waiting", "submitted as job 12_2, which is gone: launch it again"),
    ]
    assert stub.asked == ["squeue", "sacct"]


def test_without_slurm_s_answer_files_are_believed(tmp_path, says, capsys):
    folders = [made(tmp_path, "a", "train", **TRAINING), made(tmp_path, "b")]
    submitted(tmp_path, *folders)
    attempt(folders[0])
    says(silent=True)
    assert print_status(tmp_path) == 0
    printed = capsys.readouterr()
    assert "job 12_0, said" in printed.out
    assert "submitted as job 12_1 " in printed.out
    assert "from files alone: Slurm did not answer squeue within 5 s" in printed.out
    assert printed.err == ""


def test_the_job_that_makes_the_table_is_named(tmp_path, says, capsys):
    folder = made(tmp_path, "a")
    submitted(tmp_path, folder, part="table")
    says(task(None, "PENDING", "Dependency", part="table"))
    print_status(tmp_path)
    assert "table: job 12 waits: Dependency" in capsys.readouterr().out


def test_what_failed_is_shown_with_the_end_of_its_log(tmp_path, capsys):
    folder = made(tmp_path, "bad")
    log = folder / "logs" / "train.log"
    log.parent.mkdir()
    log.write_text("".join(f"line {i}\n" for i in range(9000)) + "50%\r\x1b[31mValueError: bad\x1b[0m\n\n")
    status_file(folder, "failed", reason=f"train failed: ValueError: bad (log: {log})")
    made(tmp_path, "good", "trained")
    assert print_status(tmp_path, failed=True) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert "good" not in "\n".join(lines[:3])
    assert "1 failed" in lines[3]
    assert lines[4:] == [
        f"{folder.name}: train failed: ValueError: bad",
        f"  {log}",
        *(f"    line {i}" for i in range(8996, 9000)),
        "    ValueError: bad",
    ]


def test_many_failures_do_not_scroll_the_table_away(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "_DETAILS", 1)
    for name in "abc":
        made(tmp_path, name, "failed", reason="no")
    found = survey.survey(tmp_path)
    assert details(found)[-1] == "and 2 more: kawhi status --failed"
    assert len([line for line in details(found, everything=True) if line.endswith(": no")]) == 3


def test_a_pipe_gets_everything_and_a_narrow_terminal_what_changes(tmp_path):
    for name in ("kawhi_inverse", "kawhi_random"):
        made(tmp_path, name, "train", **TRAINING)
    states = [
        survey.CellState(path, "running", "train", "job 12_0 on a node with a long name", json.loads(text))
        for path in sorted((tmp_path / "exp").iterdir())
        for text in [(path / "status.json").read_text()]
    ]
    wide = printed(table(states), 10_000)
    assert wide[0].split() == ["cell", "state", "step", "reward", "left"]
    assert wide[1].split("  ")[0] == states[0].path.name
    assert wide[1].endswith("on a node with a long name")
    narrow = printed(table(states, 60), 60)
    assert narrow[1].split()[:6] == ["inverse", "train", "5/20", "0.125", "2.5", "min"]
    assert max(map(len, narrow)) <= 60
    assert narrow[1].endswith("…")


def test_names_are_shortened_to_what_differs():
    names = ["tiny_grpo_kawhi_inverse_s1-0-aa", "tiny_grpo_kawhi_random_s1-0-bb", "tiny_grpo_uniform_s1-0-cc"]
    assert short_names(names) == ["kawhi_inverse", "kawhi_random", "uniform"]
    assert short_names(["a_s1-0-aa", "a_s1-0-bb"]) == ["a_s1-0-aa", "a_s1-0-bb"], "else they were the same"
    assert short_names(["a_s1-0-aa"]) == ["a_s1-0"]


def test_a_terminal_s_frame_shows_the_most_urgent_cells(tmp_path):
    for i in range(30):
        made(tmp_path, f"cell{i:02}", "trained")
    made(tmp_path, "zz", "failed", reason="no")
    lines = printed(frame(survey.survey(tmp_path), 80, 20), 80)
    assert len(lines) <= 19
    assert "zz" in lines[1]
    assert any(line.startswith("and ") for line in lines)


def test_watching_needs_a_terminal(tmp_path, capsys):
    made(tmp_path, "a")
    assert print_status(tmp_path, watch=True) == 1
    assert capsys.readouterr().err.startswith("error: --watch draws on a terminal")


def test_half_a_task_list_of_the_accounting_is_every_task(monkeypatch):
    """sacct keeps tasks that never ran as one entry."""
    lines = "12_0|COMPLETED|0:0\n12_[1-2,5%4]|CANCELLED by 0|0:0\n13|FAILED|7:0\n"
    asked = []
    monkeypatch.setattr(slurm, "ask", lambda *command, timeout: asked.append(command) or lines)
    found = slurm.accounting(["12_2", "12_5", "13"])
    assert {job: account.state for job, account in found.items()} == {
        "12_2": "CANCELLED",
        "12_5": "CANCELLED",
        "13": "FAILED",
    }
    assert found["13"].exit_code == 7
    assert "12,13" in asked[0]
    assert cells.how_it_ended(found["13"]) == "FAILED, exit code 7"


def test_it_says_where_to_look_at_what_is_done(tmp_path, capsys):
    folder = made(tmp_path, "good", "done")
    write_json(folder / "record.json", {})
    (folder / "eval" / "task").mkdir(parents=True)
    (folder / "eval" / "task" / "samples.parquet").touch()
    print_status(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "where to look next:"
    assert lines[-1].endswith(f"kawhi samples {folder}")
    print_status(tmp_path, failed=True)
    assert "where to look" not in capsys.readouterr().out
