"""Published records and the user's own are read together, everything says which, and no committed file is changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import make_figures, make_report, make_tables, pdf, programs
from kawhi.base import checkout
from tests.adding import copy
from tests.analysis.figure_records import trained
from tests.analysis.synthetic import Folder, record
from tests.split import split

ROOT = Path(make_tables.__file__).parents[1]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``results`` with two published records and two of the user's, one cell in both."""
    (tmp_path / "published").mkdir()
    published, own = Folder(tmp_path / "published"), Folder(tmp_path)
    published.add(trained("uniform", correct=1000), name="uniform.json")
    published.add(trained("kawhi", correct=900), name="published_kawhi.json")
    own.add(trained("kawhi", correct=1040), name="kawhi.json")
    own.add(trained("All vision tokens", correct=1010), name="all.json")
    monkeypatch.setattr(checkout, "PUBLISHED", published.records)
    monkeypatch.setattr(programs, "RESULTS", tmp_path)
    (tmp_path / "typed_here").mkdir()
    monkeypatch.chdir(tmp_path / "typed_here")  # a folder without records of its own
    monkeypatch.setattr(pdf, "PROGRAM", "no-such-program")
    monkeypatch.delenv("KAWHI_RECORDS", raising=False)
    return tmp_path


def test_tables(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make_tables.main(["region_selection"]) == 0
    said = "records: 1 published, 2 of your own; published and not used, because yours of the same cell counts: 2\n"
    assert capsys.readouterr().err == said
    text = (results / "tables" / "region_selection.md").read_text()
    assert "- Records: 1 published, 2 of your own.\n" in text
    assert "[record](../published/records/uniform.json)" in text
    assert "[record](../records/kawhi.json)" in text
    assert "published_kawhi" not in text
    assert ">published/uniform.json</a>" in (results / "tables" / "region_selection.html").read_text()


def test_a_folder_given_by_hand_is_read_alone(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make_tables.main(["region_selection", "--records", str(results / "published" / "records")]) == 0
    text = (results / "tables" / "region_selection.md").read_text()
    assert "published_kawhi.json" in text
    assert "../records/" not in text.replace("published/records/", "")
    assert "Records:" not in text
    assert capsys.readouterr().err == ""


def test_your_records_may_be_elsewhere(results: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.move(results / "records", tmp_path / "mine")
    monkeypatch.setenv("KAWHI_RECORDS", str(tmp_path / "mine"))
    assert make_tables.main(["region_selection"]) == 0
    assert "[record](../mine/kawhi.json)" in (results / "tables" / "region_selection.md").read_text()


def test_figures_report_and_cards(results: Path) -> None:
    assert make_figures.main(["training_curves"]) == 0
    made = json.loads((results / "figures" / "captions.json").read_text())["training_curves"]
    assert made["caption"].endswith("Of them 1 published, 2 of your own.")
    assert made["records"] == ["../records/all.json", "../records/kawhi.json", "../published/records/uniform.json"]
    assert make_report.main(["--tables", "region_selection"]) == 1  # without LaTeX
    page = (results / "report" / "report.html").read_text()
    assert "<dt>Whose</dt><dd>1 published, 2 of your own</dd>" in page
    assert page.count('<a href="../published/records/uniform.json">published/uniform.json</a>') == 2
    assert r"\texttt{published/" in (results / "report" / "report.tex").read_text()
    cards = results / "cards"
    assert "Their records: 1 published, 2 of your own." in (cards / "README.md").read_text()
    assert "[Published record](<../published/records/uniform.json>)" in (cards / "uniform.md").read_text()
    assert "[Your own record](<../records/kawhi.json>)" in (cards / "kawhi.md").read_text()


def test_a_wheel_has_no_published_ones(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(results / "published")
    assert make_tables.main(["region_selection"]) == 0
    assert capsys.readouterr().err == ""
    assert "Records:" not in (results / "tables" / "region_selection.md").read_text()


@pytest.mark.slow
def test_no_program_changes_a_committed_file(tmp_path: Path) -> None:
    place = copy(tmp_path / "checkout", "analysis", "conf", "kawhi", "results", ".gitignore")

    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(command, cwd=place, check=True, capture_output=True, text=True).stdout

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message=all")
    environment = {key: value for key, value in os.environ.items() if key != "KAWHI_RECORDS"}
    for number, content in enumerate([None, record("All vision tokens", 1000)]):
        if content:
            (place / "results" / "records").mkdir()
            for part in split(content):
                (place / "results" / "records" / f"{part['study']}.json").write_text(json.dumps(part))
        for program in ("make_tables", "make_figures", "make_report") if content else ("make_tables",):
            command = [sys.executable, f"analysis/{program}.py"]
            done = subprocess.run(
                command, cwd=place, env=environment | {"PYTHONPATH": str(place)}, capture_output=True, text=True
            )
            told = f"published, {'1' if number else 'none'} of your own"
            assert told in done.stderr
            assert (place / "results" / program.removeprefix("make_")).is_dir()
        assert git("status", "--porcelain") == ""
    assert {file.name for file in (place / "results").iterdir()} == {
        *("published", "records", "tables", "figures", "report", "cards")
    }
