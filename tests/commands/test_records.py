"""``kawhi records``: what it prints and its exit codes."""

import json

import pytest

from kawhi.base import checkout
from kawhi.commands.cli import main
from kawhi.evaluation.rules import rules_of
from tests.analysis.synthetic import baseline_record, changed, record

RULES = ("benchmarks", "kawhi_tiny", "rules")


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
    monkeypatch.setattr(checkout, "PUBLISHED", folder / "none")
    broken = changed(record("All vision tokens", 1000), "benchmarks", "kawhi_tiny", "score", value=147.0)
    (folder / "broken.json").write_text(json.dumps(broken))
    assert main(["records", "check"]) == 1
    said = capsys.readouterr()
    assert "3 records are sound" in said.out
    assert said.err.startswith(f"left out {folder / 'broken.json'}: benchmarks.kawhi_tiny: the score 147.0")


def test_published_ones_are_checked_beside_your_own(folder, capsys, monkeypatch):
    published = folder.parent / "published" / "records"
    published.mkdir(parents=True)
    monkeypatch.setenv("KAWHI_RECORDS", str(folder))
    monkeypatch.setattr(checkout, "PUBLISHED", published)
    for name, content in {"a": record("uniform", 900), "b": record("All vision tokens", 1000)}.items():
        (published / f"{name}.json").write_text(json.dumps(content))
    assert main(["records", "check"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}: 3 records are sound (1 tiny baseline, 2 tiny training), 0 left out",
        f"{published}: 2 records are sound (2 tiny training), 0 left out",
        "records: 1 published, 3 of your own; published and not used, because yours of the same cell counts: 1",
    ]
    (published / "c.json").write_text("{")
    assert main(["records", "check"]) == 1
    assert f"left out {published / 'c.json'}" in capsys.readouterr().err


def test_scores_by_rules_that_have_changed_are_named_and_sound(folder, capsys, monkeypatch):
    monkeypatch.setenv("KAWHI_RUNS", "runs")
    today = rules_of("kawhi_tiny")
    for name, rules in {"0": today, "1": "abcabcabcabc"}.items():
        content = json.loads((folder / f"{name}.json").read_text())
        (folder / f"{name}.json").write_text(json.dumps(changed(content, *RULES, value=rules)))
    assert main(["records", "check", str(folder)]) == 0
    said = capsys.readouterr()
    assert "3 records are sound" in said.out
    cell = content["cell"]
    assert said.err == (
        f"{folder / '1.json'}: kawhi_tiny was scored by rules that have changed since (abcabcabcabc -> {today}): "
        f"kawhi rescore runs/{cell['experiment']}/{cell['name']}-{cell['hash']}\n"
    )


def test_nothing_to_rebuild(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KAWHI_RUNS", str(tmp_path))
    assert main(["records", "rebuild"]) == 0
    assert "no finished run below" in capsys.readouterr().out


def test_a_run_without_a_record_is_not_rebuilt(tmp_path, capsys):
    assert main(["records", "rebuild", str(tmp_path)]) == 1
    assert "has no record yet: run its command again" in capsys.readouterr().err
