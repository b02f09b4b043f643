"""``kawhi records``: what it prints and its exit codes."""

import json
import shutil

import pytest

from kawhi.base import checkout
from kawhi.base.files import write_json
from kawhi.commands.cli import main
from kawhi.evaluation.rules import rules_of
from kawhi.records.folder import read_folder
from tests.analysis.synthetic import baseline_record, changed, record
from tests.evaluation.made import MADE, TINY, known, make_run, of
from tests.split import split

SAID = "5 records are sound (3 tiny evaluation, 2 tiny training), 0 left out"


@pytest.fixture
def folder(tmp_path):
    """Two trainings and their evaluations, and that of an untrained model."""
    folder = tmp_path / "records"
    folder.mkdir()
    for i, content in enumerate((record("uniform", 1000), record("kawhi", 1040), baseline_record(800))):
        write(folder, str(i), content)
    return folder


def write(folder, name, content):
    for part in split(content):
        (folder / f"{name}-{part['study']}.json").write_text(json.dumps(part))


def test_sound_records(folder, capsys):
    assert main(["records", "check", str(folder)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{folder}: {SAID}\n"
    assert not said.err


def test_a_broken_one_is_named(folder, capsys, monkeypatch):
    monkeypatch.setenv("KAWHI_RECORDS", str(folder))
    monkeypatch.setattr(checkout, "PUBLISHED", folder / "none")
    broken = changed(split(record("All vision tokens", 1000))[1], "result", "score", value=147.0)
    (folder / "broken.json").write_text(json.dumps(broken))
    assert main(["records", "check"]) == 1
    said = capsys.readouterr()
    assert "5 records are sound" in said.out
    assert said.err.startswith(f"left out {folder / 'broken.json'}: result: the score 147.0")


def test_published_ones_are_checked_beside_your_own(folder, capsys, monkeypatch):
    published = folder.parent / "published" / "records"
    published.mkdir(parents=True)
    monkeypatch.setenv("KAWHI_RECORDS", str(folder))
    monkeypatch.setattr(checkout, "PUBLISHED", published)
    for name, content in {"a": record("uniform", 900), "b": record("All vision tokens", 1000)}.items():
        write(published, name, content)
    assert main(["records", "check"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}: {SAID}",
        f"{published}: 4 records are sound (2 tiny evaluation, 2 tiny training), 0 left out",
        "records: 2 published, 5 of your own; published and not used, because yours of the same cell counts: 2",
    ]
    (published / "c.json").write_text("{")
    assert main(["records", "check"]) == 1
    assert f"left out {published / 'c.json'}" in capsys.readouterr().err


def test_scores_by_rules_that_have_changed_are_named_and_sound(folder, capsys, monkeypatch):
    monkeypatch.setenv("KAWHI_RUNS", "runs")
    today = rules_of("kawhi_tiny")
    for name, rules in {"0": today, "1": "abcabcabcabc"}.items():
        file = folder / f"{name}-evaluation.json"
        content = json.loads(file.read_text())
        file.write_text(json.dumps(changed(content, "result", "rules", value=rules)))
    assert main(["records", "check", str(folder)]) == 0
    said = capsys.readouterr()
    assert "5 records are sound" in said.out
    training = json.loads((folder / "1-training.json").read_text())["cell"]
    assert said.err == (
        f"{file}: kawhi_tiny was scored by rules that have changed since (abcabcabcabc -> {today}): "
        f"kawhi rescore runs/{training['experiment']}/{training['name']}-{training['hash']}\n"
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """An untrained model's evaluations, whose records are gone from where tables look for them."""
    known(monkeypatch)
    monkeypatch.setenv("KAWHI_RUNS", str(tmp_path / "runs"))
    run = make_run(tmp_path)
    shutil.rmtree(tmp_path / "records")
    return run


def test_records_of_evaluations_are_written_again_as_they_were(run, tmp_path, capsys):
    before = {each: json.loads(each.record.read_text()) for each in run.evaluations}
    assert main(["records", "rebuild"]) == 0
    files = {each: tmp_path / "records" / f"{run.run.path.name}_{each.path.name}.json" for each in run.evaluations}
    said = capsys.readouterr().out
    for number, each in enumerate(run.run.evaluations(), 1):
        assert f"[{number}/2] {files[each]}\n" in said
        for file in (files[each], each.record):
            again = json.loads(file.read_text())
            assert {**again, "run": {}} == {**before[each], "run": {}}
    assert len(read_folder(tmp_path / "records").records) == 2


def test_an_evaluation_is_rebuilt_by_its_folder_and_its_score_is_read_again(run, tmp_path):
    tiny = of(run, TINY)
    score = json.loads((tiny.path / "score.json").read_text())
    write_json(tiny.path / "score.json", score | {"rule_score": 12.5})
    assert main(["records", "rebuild", str(tiny.path)]) == 0
    assert json.loads(tiny.record.read_text())["result"]["rule_score"] == 12.5
    assert len([*(tmp_path / "records").iterdir()]) == 1


def test_an_evaluation_whose_files_are_of_another_cell_is_not_rebuilt(run, capsys):
    tiny = of(run, TINY)
    config = tiny.load_config()
    config.evaluation.max_new_tokens += 1
    tiny.save_config(config)
    before = tiny.record.read_text()
    assert main(["records", "rebuild"]) == 1
    said = capsys.readouterr()
    assert f"error: {tiny.path}: its files give the hash " in said.err
    assert of(run, MADE).path.name in said.out
    assert tiny.record.read_text() == before


def test_nothing_to_rebuild(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KAWHI_RUNS", str(tmp_path))
    assert main(["records", "rebuild"]) == 0
    assert "no finished run below" in capsys.readouterr().out


def test_a_run_without_a_record_is_not_rebuilt(tmp_path, capsys):
    assert main(["records", "rebuild", str(tmp_path)]) == 1
    assert "has no record yet: run its command again" in capsys.readouterr().err
