"""What a user sees of a sweep, read from the files that the cells write."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.runs import views
from kawhi.runs.cell_folders import Place
from kawhi.runs.views import CellView, SweepView, table
from tests.cells import status_file


def seen(path: Path, label: str = "") -> CellView:
    """The row of a training that is not evaluated, called as its folder unless said otherwise."""
    return CellView(label or path.name, Place(RunDirectory(path), "training"))


@pytest.fixture
def cells(tmp_path):
    status_file(tmp_path / "done", "record")
    (tmp_path / "done" / "record.json").write_text("{}")
    status_file(tmp_path / "train", "train", step=5, reward=0.125, first_step=1, first_time=60.0)
    status_file(tmp_path / "failed", "failed", reason="train failed: ValueError: bad")
    names = ("done", "train", "failed", "not started")
    return [seen(tmp_path / name) for name in names]


def shown(cells, **options) -> list[list[str]]:
    """The cells of the printed table, row by row."""
    console = Console(width=200, file=io.StringIO())
    console.print(table(cells, **options))
    lines = console.file.getvalue().splitlines()
    return [[part.strip() for part in line.strip("│").split("│")] for line in lines if line.startswith("│")]


def test_one_row_per_cell(cells):
    assert shown(cells) == [
        ["1/4", "done", "done", "", "", ""],
        ["2/4", "train", "train", "5/20", "0.125", "2.5 min"],  # 40 s for 4 steps, 15 to go
        ["3/4", "failed", "failed: train failed: ValueError: bad", "", "", ""],
        ["4/4", "not started", "waiting", "", "", ""],
    ]


def test_a_status_file_of_a_cell_that_nobody_works_on_is_old(cells):
    assert [row[2] for row in shown(cells, running={1})][:2] == ["done", "train"]
    assert [row[2] for row in shown(cells, running=set())][:2] == ["done", "waiting"]


ROWS = {
    "before its first step training has no numbers": ({}, ["train", "", "", ""]),
    "the time until the first step is start-up": (
        {"step": 1, "reward": 0.5, "first_step": 1, "first_time": 99.0},
        ["train", "1/20", "0.500", "..."],
    ),
    "a step may have no reward": (
        {"step": 20, "reward": None, "first_step": 1, "first_time": 0.0},
        ["train", "20/20", "", "0.0 min"],
    ),
}


@pytest.mark.parametrize(("status", "row"), ROWS.values(), ids=ROWS)
def test_what_a_training_cell_shows(tmp_path, status, row):
    assert shown([seen(status_file(tmp_path / "x", "train", **status))]) == [["1/1", "x", *row]]


def test_long_checks_of_data_show_how_far_they_are(tmp_path):
    cell = seen(status_file(tmp_path / "x", "prepare", checked=128, rows=4000))
    assert shown([cell]) == [["1/1", "x", "prepare", "128/4000", "", ""]]


def test_on_a_narrow_terminal_the_name_gives_way(cells):
    console = Console(width=60, file=io.StringIO())
    console.print(table([seen(cells[1].path, "a" * 80)]))
    text = console.file.getvalue()
    assert all(word in text for word in ("train", "5/20", "0.125", "2.5 min"))


def test_brackets_are_text(tmp_path):
    """Rich would take them for markup, drop them, and stop at a closing one: [/INST] is in error messages."""
    path = status_file(tmp_path / "x", "failed", reason="ValueError: [/INST] in [bold]")
    assert shown([seen(path, "[a]")])[0][1:3] == ["[a]", "failed: ValueError: [/INST] in [bold]"]


def test_a_half_written_status_is_waiting(tmp_path):
    (tmp_path / "status.json").write_text('{"stage": ')
    assert seen(tmp_path).status() == {"stage": "waiting"}


def test_a_cell_is_done_when_its_own_evaluations_are_whatever_was_evaluated_before(tmp_path):
    run = RunDirectory(status_file(tmp_path / "x", "done"))
    first, second = (CellView(name, Place(run, "training", (run.evaluation(name),))) for name in ("a-1", "a-2"))
    write_json(run.evaluation("a-1").record, {})
    assert first.status() == {"stage": "waiting"}, "the training has no record"
    write_json(run.record, {})
    assert shown([first, second], running=set()) == [
        ["1/2", "a-1", "done", "", "", ""],
        ["2/2", "a-2", "waiting", "", "", ""],
    ]
    status_file(run.path, "evaluate")
    assert [row[2] for row in shown([first, second], running={1})] == ["done", "evaluate"]


def test_what_a_cell_took_is_that_of_its_training_and_its_evaluations(tmp_path):
    took(tmp_path, 20, 80)
    took(tmp_path / "eval" / "a-1", 5)
    took(tmp_path / "eval" / "b-2", 7)
    assert views.seconds_of(tmp_path) == 112


@pytest.fixture
def clock(monkeypatch):
    """The time that the views see; set by what it returns."""
    now = [1000.0]
    monkeypatch.setattr(views.time, "time", lambda: now[0])
    return now


def took(path, *seconds: float) -> None:
    """Finished stages."""
    for i, each in enumerate(seconds):
        write_json(path / "stages" / f"{i}.json", {"seconds": each})


def test_without_a_terminal_every_stage_is_one_line(cells, clock, capsys):
    with SweepView(cells, "title") as view:
        view.update({1, 3})
        first = capsys.readouterr().out
        view.update({1, 3})
        again = capsys.readouterr().out
        status_file(cells[1].path, "train", step=10, reward=0.25, started=40.0)
        view.update({1, 3})
        same_stage = capsys.readouterr().out
        clock[0] += 9
        status_file(cells[3].path, "prepare")
        view.update({3})
        next_stage = capsys.readouterr().out
    assert first.splitlines() == [
        "[    0 s] cell 1/4 done: done",
        "[    0 s] cell 2/4 train: train step 5/20 reward 0.125",
        "[    0 s] cell 3/4 failed: failed",
        "[    0 s] cell 4/4 not started: starting",
    ]
    assert (again, same_stage) == ("", "")
    assert next_stage == "[    9 s] cell 4/4 not started: prepare\n"


def lines_of(out: str) -> list[list[str]]:
    """Words of the lines of a table in a pipe, from its head on."""
    return [line.split() for line in out.splitlines() if line.strip()]


def test_without_a_terminal_the_table_comes_every_half_minute(cells, clock, capsys):
    with SweepView(cells, "title") as view:
        view.update({1})
        clock[0] += 29
        view.update({1})
        assert "time left" not in capsys.readouterr().out
        clock[0] += 1
        view.update({1})
        head, *rest = lines_of(capsys.readouterr().out)
        assert " ".join(head) == "[ 30 s] title: 1 done, 1 running, 1 waiting, 1 failed"
        assert rest == [
            ["cell", "stage", "step", "reward", "time", "left"],
            ["1/4", "done", "done"],
            ["2/4", "train", "train", "5/20", "0.125", "2.5", "min"],
            ["3/4", "failed", "failed:", "train", "failed:", "ValueError:", "bad"],
            ["4/4", "not", "started", "waiting"],
        ]
        view.update({1})
        assert capsys.readouterr().out == ""
        clock[0] += 30
        view.update({1})
        assert capsys.readouterr().out == "[   60 s] title: 1 done, 1 running, 1 waiting, 1 failed\n", "nothing moved"
    assert "title: 1 done, 0 running, 2 waiting, 1 failed" in capsys.readouterr().out, "the last word is the table"


def test_the_longer_a_sweep_the_rarer_its_table(cells, clock, capsys):
    heads = 0
    with SweepView(cells, "title") as view:
        for _ in range(2 * 24 * 360):  # two days, looked at every ten seconds
            clock[0] += 10
            view.update({1})
            heads += capsys.readouterr().out.count("title:")
    assert 100 < heads < 200
    assert clock[0] - view._drawn < 2 * 3600 + 1


def test_of_many_cells_a_pipe_sees_those_that_move(tmp_path, clock, capsys):
    many = [seen(tmp_path / str(i), f"cell {i}") for i in range(views.ROWS + 1)]
    with SweepView(many, "title") as view:
        view.update({2, 3})
        capsys.readouterr()
        clock[0] += 30
        view.update({2, 3})
        head, _, *rows = lines_of(capsys.readouterr().out)
    assert " ".join(head) == "[ 30 s] title: 0 done, 2 running, 11 waiting"
    assert [row[0] for row in rows] == ["3/13", "4/13"]


def test_brackets_in_a_sweep_s_name_are_text(cells, clock, capsys):
    with SweepView(cells, "[/title]"):
        pass
    assert "[    0 s] [/title]: 1 done" in capsys.readouterr().out


def test_the_time_left_of_a_sweep_is_that_of_its_slowest_lane(tmp_path, clock):
    """Two lanes, five cells of 100 s: one is done, one half done, one began again after 30 s, two wait."""
    names = ("done", "half", "again", "waits", "waits, too", "failed")
    view = SweepView([seen(tmp_path / name) for name in names], "title")
    view.update({0, 1})
    assert view._left({0, 1}) == "", "nothing is known before a first cell is done"
    clock[0] += 50
    took(tmp_path / "done", 20, 80)
    write_json(tmp_path / "done" / "record.json", {})
    took(tmp_path / "again", 30)
    status_file(tmp_path / "failed", "failed", reason="no")
    view.update({5})
    view.update({1, 2})
    # 50 s and 70 s for those at work; the others follow: 50 + 100 and 70 + 100.
    assert view._left({1, 2}) == ", about 2.8 min left"
    clock[0] += 100
    assert view._left({1}) == ", about 3.3 min left", "one lane for both that wait; the late one ends at any moment"
    assert view._left(set()) == ""


def test_the_time_left_is_on_the_terminal_too(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(views, "Console", lambda **_: Console(force_terminal=True, width=90, file=io.StringIO()))
    view = SweepView([seen(tmp_path / name) for name in "ab"], "title")
    took(tmp_path / "a", 60)
    write_json(tmp_path / "a" / "record.json", {})
    with view:
        view.update({1})
        view._live.refresh()
    assert "title  (0.0 min, about 1.0 min left)" in view._console.file.getvalue()


def test_in_the_end_it_says_where_to_look(tmp_path, clock, capsys):
    before, new = (seen(tmp_path / "exp" / name) for name in ("before", "new"))
    write_json(before.path / "record.json", {})
    with SweepView([before, new], "title") as view:
        view.update({1})
        write_json(new.path / "record.json", {})
        (new.path / "eval" / "task-1").mkdir(parents=True)
        (new.path / "eval" / "task-1" / "samples.parquet").touch()
    last = capsys.readouterr().out.splitlines()[-3:]
    assert last[0] == "where to look next:"
    assert last[1].endswith(f"kawhi status exp --runs {tmp_path}")
    assert last[2].endswith(f"kawhi samples {new.path}")


def test_a_sweep_that_was_interrupted_or_finished_nothing_points_nowhere(tmp_path, capsys):
    def end(error: BaseException | None) -> None:
        with SweepView([seen(tmp_path / "a")], "title"):
            if error:
                write_json(tmp_path / "a" / "record.json", {})
                raise error

    end(None)
    with pytest.raises(KeyboardInterrupt):
        end(KeyboardInterrupt())
    assert "where to look" not in capsys.readouterr().out
