"""The table's job."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from kawhi.base.files import write_json
from kawhi.cluster.table_job import TableJob
from tests.cluster.made import place


@pytest.fixture
def job(tmp_path) -> TableJob:
    """Of a trained and evaluated cell."""
    done = place(tmp_path / "runs" / "cell-123abc", until="record", evaluations=["task-456def"], done=["task-456def"])
    records = [tmp_path / "records", tmp_path / "published"]
    return TableJob("main_table", [*done.folders], records, tmp_path / "tables", tmp_path / "stamp", partial=False)


@pytest.fixture
def made(monkeypatch) -> list[list[str]]:
    """Commands that would make tables."""
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command: commands.append(command) or SimpleNamespace(returncode=0))
    return commands


def test_a_record_that_is_not_where_tables_look_is_not_left_out(job, made, capsys):
    run, evaluation = job.folders
    write_json(job.records[0] / "cell-123abc.json", {})
    with pytest.raises(SystemExit, match="1"):
        job()
    said = capsys.readouterr().err
    assert f"1 records are not in {job.records[0]} or {job.records[1]}, which" in said
    assert f"{evaluation}/record.json as cell-123abc_task-456def.json" in said
    assert f"{run}/record.json" not in said
    assert not job.stamp.exists()
    assert made == []


def test_a_table_is_made_of_trainings_and_evaluations_whatever_their_records_are_called(job, made):
    """Another table may have asked for the same cell under another label."""
    write_json(job.records[0] / "cell-as-another-table-calls-it-123abc.json", {})
    write_json(job.records[1] / "cell-123abc_task-456def.json", {})
    job()
    ((_, script, *words),) = made
    assert Path(script).name == "make_tables.py"
    assert words[:3] == ["main_table", "--records", str(job.records[0])]
    write_json(job.out / "main_table.md", {})
    assert job.made()
    job.folders.pop()
    assert not job.made(), "it was made of other cells"


def test_without_an_evaluation_s_record_there_is_no_table_unless_a_part_is_enough(job, made, capsys):
    for name in ("cell-123abc", "cell-123abc_task-456def"):
        write_json(job.records[0] / f"{name}.json", {})
    (job.folders[1] / "record.json").unlink()
    with pytest.raises(SystemExit, match="1"):
        job()
    assert capsys.readouterr().err == f"1 of 2 have no record:\n  {job.folders[1]}\n"
    job.partial = True
    job()
    assert len(made) == 1
    assert not job.stamp.exists()
