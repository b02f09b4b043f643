"""Markdown, LaTeX, CSV and the terminal show one table."""

import re
from pathlib import Path

import pytest
from lxml import html
from rich.console import Console

from analysis import render
from analysis.make_tables import NAMES
from analysis.training_tables import ablations
from tests.analysis.paper_records import tiny
from tests.analysis.synthetic import Folder, grounding_record, record


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """All tables, for both families."""
    folder = Folder(tmp_path_factory.mktemp("full"))
    folder.add(*tiny())
    assert folder.make() == 0
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_lines_have_equal_numbers_of_cells(full: Folder, name: str) -> None:
    text = full.text("md", name)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") - line.count("\\|") for line in table}) == 1
    rows = full.rows(name)
    blocks = len({row["Block"] for row in rows} - {""}) if "Block" in rows[0] else 0
    assert len(table) == len(rows) + 3 + blocks
    cells = [row.xpath("count(td)") for row in html.fromstring(full.text("html", name)).xpath("//tbody/tr[td]")]
    assert len(cells) == len(rows)
    assert len(set(cells)) == 1
    if name in ablations():
        assert text.count("| **GRPO + KAWHI (Ours)**") + text.count("(default)**") == 1


def test_names_are_escaped(folder: Folder) -> None:
    folder.add(record("uniform", 1000, model={"name": r"a_b|50%\&<", "family": "f", "weights": "0"}))
    assert folder.make("region_selection") == 0
    assert r"a_b\|50%\\&\<" in folder.text("md")
    assert r"a\_b\textbar{}50\%\textbackslash{}\&\textless{}" in folder.text("tex")
    assert r"a_b|50%\&amp;&lt;" in folder.text("html")


def test_a_terminal_gets_drawn_tables(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(render, "Console", lambda: Console(force_terminal=True, width=200))
    folder.add(record("uniform", 1000, model={"name": "[bold]x", "family": "f", "weights": "0"}))
    folder.add(grounding_record("blank"))
    assert folder.make("region_selection", "grounding") == 0
    printed = capsys.readouterr().out
    assert "┃" in printed
    assert "[bold]x" in printed
    assert "Rank corr." in printed
    assert "Nothing is trained" in printed


def test_files_end_with_one_line_break(full: Folder) -> None:
    for file in Path(full.out).iterdir():
        assert re.search(r"[^\n]\n\Z", file.read_text(encoding="utf-8")), file
