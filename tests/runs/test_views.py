"""What a user sees of a sweep, read from the files that the cells write."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from kawhi.runs import views
from kawhi.runs.views import CellView, SweepView, table
from tests.cells import status_file


@pytest.fixture
def cells(tmp_path):
    status_file(tmp_path / "done", "record")
    (tmp_path / "done" / "record.json").write_text("{}")
    status_file(tmp_path / "train", "train", step=5, reward=0.125, first_step=1, first_time=60.0)
    status_file(tmp_path / "failed", "failed", reason="train failed: ValueError: bad")
    names = ("done", "train", "failed", "not started")
    return [CellView(name, tmp_path / name) for name in names]


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


def test_training_before_its_first_step_has_no_numbers(tmp_path):
    path = status_file(tmp_path / "x", "train")
    assert shown([CellView("x", path)]) == [["1/1", "x", "train", "", "", ""]]


def test_one_step_does_not_tell_how_long_a_step_takes(tmp_path):
    """The time until then is start-up."""
    path = status_file(tmp_path / "x", "train", step=1, reward=0.5, first_step=1, first_time=99.0)
    assert shown([CellView("x", path)]) == [["1/1", "x", "train", "1/20", "0.500", "..."]]


def test_on_a_narrow_terminal_the_name_gives_way(cells):
    console = Console(width=60, file=io.StringIO())
    console.print(table([CellView("a" * 80, cells[1].path)]))
    text = console.file.getvalue()
    assert all(word in text for word in ("train", "5/20", "0.125", "2.5 min"))


def test_a_step_may_have_no_reward(tmp_path):
    path = status_file(tmp_path / "x", "train", step=20, reward=None, first_step=1, first_time=0.0)
    assert shown([CellView("x", path)]) == [["1/1", "x", "train", "20/20", "", "0.0 min"]]


def test_brackets_are_text(tmp_path):
    """Rich would take them for markup, drop them, and stop at a closing one: [/INST] is in error messages."""
    path = status_file(tmp_path / "x", "failed", reason="ValueError: [/INST] in [bold]")
    assert shown([CellView("[a]", path)])[0][1:3] == ["[a]", "failed: ValueError: [/INST] in [bold]"]


def test_a_half_written_status_is_waiting(tmp_path):
    (tmp_path / "status.json").write_text('{"stage": ')
    assert CellView("x", tmp_path).status() == {"stage": "waiting"}


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(views.time, "time", lambda: 1000.0)


def test_without_a_terminal_every_change_is_one_line(cells, clock, capsys):
    with SweepView(cells, "title") as view:
        view.update({1})
        first = capsys.readouterr().out
        view.update({1})
        again = capsys.readouterr().out
        status_file(cells[1].path, "train", step=9, reward=0.25, started=40.0)
        view.update({1})
        same_five_steps = capsys.readouterr().out
        status_file(cells[1].path, "train", step=10, reward=0.5, started=40.0)
        view.update({1})
        next_five_steps = capsys.readouterr().out
        (cells[3].path).mkdir()
        status_file(cells[3].path, "prepare")
        view.update({3})
        next_cell = capsys.readouterr().out
    assert first.splitlines() == [
        "[    0 s] cell 1/4 done: done",
        "[    0 s] cell 2/4 train: train step 5/20 reward 0.125",
        "[    0 s] cell 3/4 failed: failed",
    ]
    assert (again, same_five_steps) == ("", "")
    assert next_five_steps == "[    0 s] cell 2/4 train: train step 10/20 reward 0.500\n"
    assert next_cell == "[    0 s] cell 4/4 not started: prepare\n"
