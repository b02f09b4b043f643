"""Markdown, LaTeX, CSV and the terminal show one table."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from analysis import render
from analysis.make_tables import NAMES
from analysis.methods import METHODS
from analysis.records import IMAGES
from analysis.training import ablations
from tests.analysis.synthetic import FAMILIES, Folder, grounding_record, record, timing_record

TEX = shutil.which("tectonic") or shutil.which("pdflatex")


@pytest.fixture
def full(folder: Folder) -> Folder:
    """All tables, for both families."""
    credits = dict.fromkeys(credit for ablation in ablations().values() for credit in ablation.rows)
    for family in FAMILIES:
        folder.add(*(record(credit, 1000 + 10 * i, family=family) for i, credit in enumerate(credits)))
        folder.add(*(grounding_record(image, family=family) for image in IMAGES))
    folder.add(*(timing_record(credit) for credit in METHODS))
    assert folder.make() == 0
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_lines_have_equal_numbers_of_cells(full: Folder, name: str) -> None:
    rows = full.rows(name)
    table = [line for line in full.text("md", name).splitlines() if line.startswith("|")]
    assert {line.count("|") - line.count("\\|") for line in table} == {len(rows[0]) + 1}
    assert len(table) == len(rows) + 3
    tex = full.text("tex", name)
    lines = [line for line in tex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") for line in lines} == {len(rows[0]) - 1}
    assert len(lines) == len(rows) + 1
    assert not re.search("[^\x00-\x7f]", tex.partition("documentclass")[2])
    assert (
        tex.count("rowcolor")
        == full.text("md", name).count("| **GRPO + KAWHI (Ours)**") + full.text("md", name).count("(default)**")
        == (name not in ("grounding", "methods"))
    )


@pytest.mark.skipif(not TEX, reason="neither tectonic nor pdflatex is installed")
def test_latex_compiles(full: Folder) -> None:
    for name in NAMES:
        subprocess.run([str(TEX), f"{name}.tex"], cwd=full.out, check=True, stdin=subprocess.DEVNULL)
        assert (full.out / f"{name}.pdf").exists()


def test_names_are_escaped(folder: Folder) -> None:
    folder.add(record("uniform", 1000, model={"name": r"a_b|50%\&<", "family": "f", "weights": "0"}))
    assert folder.make("region_selection") == 0
    assert r"a_b\|50%\\&\<" in folder.text("md")
    assert r"a\_b\textbar{}50\%\textbackslash{}\&\textless{}" in folder.text("tex")


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
    assert "Rank correlation" in printed
    assert "Nothing is trained" in printed


def test_files_end_with_one_line_break(full: Folder) -> None:
    for file in Path(full.out).iterdir():
        assert re.search(r"[^\n]\n\Z", file.read_text(encoding="utf-8")), file
