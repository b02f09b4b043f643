"""The commands that show what finished cells did are commands of ours, with paths that are there."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from kawhi.base.files import write_json
from kawhi.runs.hints import where_to_look


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAWHI_RUNS", raising=False)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]))
    write_json(tmp_path / "bin" / "kawhi", {})
    (tmp_path / "bin" / "kawhi").chmod(0o755)


def record(folder: Path, age: float) -> None:
    write_json(folder / "record.json", {})
    os.utime(folder / "record.json", (1000 - age, 1000 - age))


def made(name: str, age: float, *, trained: bool = True, samples: bool = False, alpha: dict[int, bool] | None = None):
    """A run directory that is done, with an evaluation and the steps of which samples were recorded.

    Args:
        age: of its last record; an evaluation comes after its training.
    """
    path = Path.cwd() / "results" / "runs" / "exp" / name
    if trained:
        record(path, age + samples)
    if samples:
        record(path / "eval" / "task-1", age)
        (path / "eval" / "task-1" / "samples.parquet").touch()
    for step, has in (alpha or {}).items():
        responses = [{"alpha": [0.5] if has else None}]
        write_json(path / "train" / "steps" / f"{step:06d}.json", {"prompts": [{"responses": responses}]})
    return path


def commands(*paths: Path, **options) -> list[list[str]]:
    head, *lines = where_to_look(paths, **options) or ["where to look next:"]
    assert head == "where to look next:"
    return [shlex.split(line[line.index("kawhi ") :]) for line in lines]


def test_the_newest_cell_that_has_something_to_show():
    old = made("old", 30, samples=True, alpha={1: True, 20: True})
    new = made("new", 20, samples=True)
    without = made("uniform", 10, alpha={3: False})
    assert commands(old, new, without) == [
        ["kawhi", "status", "exp"],
        ["kawhi", "samples", "results/runs/exp/new"],
        ["kawhi", "explain", "results/runs/exp/old", "--step", "20"],
    ]


def test_without_alpha_the_page_shows_the_answers_and_their_weights():
    assert commands(made("uniform", 10, alpha={3: False}), status=False) == [
        ["kawhi", "explain", "results/runs/exp/uniform", "--step", "3"]
    ]


def test_runs_in_another_folder(monkeypatch, tmp_path):
    path = made("a", 0)
    monkeypatch.chdir("bin")
    assert commands(path) == [["kawhi", "status", "exp", "--runs", str(tmp_path / "results" / "runs")]]
    monkeypatch.setenv("KAWHI_RUNS", str(tmp_path / "results" / "runs"))
    assert commands(path) == [["kawhi", "status", "exp"]]


def test_an_evaluation_makes_a_cell_new():
    """Of an untrained model there is nothing else, and a training may have been evaluated again."""
    trained, untrained = made("trained", 20, samples=True), made("untrained", 10, trained=False, samples=True)
    assert commands(trained, untrained)[1] == ["kawhi", "samples", "results/runs/exp/untrained"]
    record(trained / "eval" / "task-2", 0)
    assert commands(trained, untrained)[1] == ["kawhi", "samples", "results/runs/exp/trained"]


def test_nothing_done_is_nothing_to_look_at():
    assert commands() == []
    assert commands(made("b", 0), status=False) == []


def test_an_environment_that_is_not_activated_is_named(monkeypatch, tmp_path):
    """A program beside the interpreter, as `make demo` has it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    write_json(tmp_path / ".venv" / "bin" / "kawhi", {})
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    assert where_to_look([made("a", 0)])[1].endswith("  .venv/bin/kawhi status exp")


def test_the_commands_exist():
    from kawhi.commands.cli import main

    path = made("a", 0, samples=True, alpha={1: True})
    for command in commands(path):
        assert main([*command[1:], "--help"]) == 0
