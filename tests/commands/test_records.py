"""``kawhi records``: what it prints and its exit codes."""

import json

import pytest

from kawhi.commands.cli import main
from tests.analysis.synthetic import baseline_record, changed, record


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    for i, content in enumerate((record("uniform", 1000), record("kawhi", 1040), baseline_record(800))):
        (folder / f"{i}.json").write_text(json.dumps(content))
    return folder


def test_sound_records(folder, capsys):
    assert main(["records", "check", str(folder)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{folder}: 3 records are sound (1 tiny baseline, 2 tiny training), 0 left out\n"
    assert not said.err


def test_a_broken_one_is_named(folder, capsys, monkeypatch):
    monkeypatch.setenv("KAWHI_RECORDS", str(folder))
    broken = changed(record("All vision tokens", 1000), "benchmarks", "kawhi_tiny", "score", value=147.0)
    (folder / "broken.json").write_text(json.dumps(broken))
    assert main(["records", "check"]) == 1
    said = capsys.readouterr()
    assert "3 records are sound" in said.out
    assert said.err.startswith(f"left out {folder / 'broken.json'}: benchmarks.kawhi_tiny: the score 147.0")


def test_nothing_to_rebuild(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KAWHI_RUNS", str(tmp_path))
    assert main(["records", "rebuild"]) == 0
    assert "no finished run below" in capsys.readouterr().out


def test_a_run_without_a_record_is_not_rebuilt(tmp_path, capsys):
    assert main(["records", "rebuild", str(tmp_path)]) == 1
    assert "has no record yet: run its command again" in capsys.readouterr().err
