"""Each table's LaTeX compiles in a small document, fits its lines, and says what the table says."""

import re
from pathlib import Path

import pytest

from analysis.latex_text import code, latex, prose
from analysis.make_tables import make_tables
from analysis.pdf import LatexError, compile_pdf, problems
from analysis.render_latex import PACKAGES, fragment, to_latex
from analysis.table import Group, Source, Table, Value, plain
from tests.analysis.figure_records import parsed
from tests.analysis.paper_records import HOSTILE, measured, needs, tiny


def document(*bodies: str) -> str:
    packages = "".join(
        rf"\usepackage{package}" if package.startswith("[") else rf"\usepackage{{{package}}}" for package in PACKAGES
    )
    head = rf"\documentclass{{article}}\usepackage[T1]{{fontenc}}\usepackage{{lmodern}}{packages}"
    size = r"\usepackage[textwidth=17cm,textheight=25cm]{geometry}\usepackage{hyperref}"
    targets = "".join(
        rf"\hypertarget{{{at}}}{{}}" for at in set(re.findall(r"\\hyperlink\{([^}]+)\}", "".join(bodies)))
    )
    return "\n".join([head, size, r"\begin{document}", targets, *bodies, r"\end{document}", ""])


def typeset(folder: Path, *bodies: str) -> list[str]:
    needs("pdflatex")
    (folder / "t.tex").write_text(document(*bodies), encoding="utf-8")
    return compile_pdf(folder / "t.tex")


def table(label: str = "GRPO", columns: int = 2, rows: int = 2, text: str = "50.00", **changes: str) -> Table:
    source = Source(label, (f"python x.py a={label}",), (Path("r/a_b.json"),))
    names = tuple(f"Column {j}" for j in range(columns))
    cells = [plain(*(text,) * columns, source=source)] * rows
    group = Group(
        changes.pop("head", "tiny: m"), names, cells, changes.pop("note", "A note."), changes.pop("caution", "")
    )
    return Table("synthetic", changes.pop("caption", "Caption."), [label] * rows, [group], "python y.py")


@pytest.fixture(scope="module")
def full() -> list[Table]:
    tables, refused = make_tables(parsed([*tiny(), *measured()]), [])
    assert not refused
    return tables


def test_every_table_compiles_and_fits(full: list[Table], tmp_path: Path) -> None:
    assert max(len(each.rows) for each in full) > 80
    assert typeset(tmp_path, *(f"% table {each.name}\n{to_latex(each)}" for each in full)) == []


def test_without_hyperref_numbers_are_no_links(tmp_path: Path) -> None:
    needs("pdflatex")
    text = document(to_latex(table())).replace(r"\usepackage{hyperref}", "").replace(r"\hypertarget{synthetic-1}{}", "")
    (tmp_path / "t.tex").write_text(text, encoding="utf-8")
    assert compile_pdf(tmp_path / "t.tex") == []


def test_hostile_text_is_only_text(tmp_path: Path) -> None:
    hostile = table(HOSTILE, text="1 & 2", head=HOSTILE, note=HOSTILE, caution=HOSTILE, caption=f"{HOSTILE}\n\nnext")
    assert typeset(tmp_path, to_latex(hostile)) == []


@pytest.mark.parametrize("rows", [2, 60])  # a float, and one that goes over pages
def test_a_table_that_is_too_wide_is_named(tmp_path: Path, rows: int) -> None:
    found = typeset(tmp_path, "% table synthetic", to_latex(table(columns=16, rows=rows, text="[+10.00, +20.00]")))
    assert found
    for each in found:
        assert re.fullmatch(r"table synthetic \(line \d+ of the LaTeX file\) is [\d.]+ points too wide", each)


def test_a_mistake_in_latex_is_one_line_and_removes_the_old_pdf(tmp_path: Path) -> None:
    typeset(tmp_path, "fine")
    with pytest.raises(LatexError, match=r"t\.tex cannot be typeset: Undefined control sequence\. \(l\.\d+ \\nothing"):
        typeset(tmp_path, r"\nothing")
    assert not (tmp_path / "t.pdf").exists()


def test_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    assert typeset(tmp_path, r"\csname hyperlink\endcsname{nowhere}{x}") == ["the link to nowhere leads nowhere"]


def test_little_overfull_is_none() -> None:
    assert problems("Overfull \\hbox (0.9pt too wide) in paragraph at lines 1--2", "") == []
    assert len(problems("Overfull \\vbox (12.0pt too high) has occurred while \\output is active", "")) == 1


def test_numbers_of_a_column_have_the_room_of_its_differences() -> None:
    own = Group("g", ("A",), [(Value("1", delta="+0.50"),), (Value("2"),), (Value("3", delta="x&y"),)], "")
    lines = fragment(Table("t", "c", ["a", "b", "d"], [own], "cmd"))
    assert r"a & 1$_{+0.50}$ \\" in lines
    assert r"b & 2\phantom{$_{+0.50}$} \\" in lines
    assert r"d & 3$_{\mbox{\tiny x\&y}}$ \\" in lines


def test_a_group_without_numbers_is_left_to_its_note_when_it_has_no_room() -> None:
    source = Source("s", ("cmd",))
    wide = tuple(f"Rather wide column {j}" for j in range(4))
    paper = Group("paper: P", wide, [plain(*("1",) * 4, source=source)], "The paper's note.")
    nothing = Group("measured: nothing was run", wide, [plain(*("–",) * 4)], "Nothing was run.")
    text = "\n".join(fragment(Table("t", "c", ["a"], [paper, nothing], "cmd")))
    assert "measured: nothing" not in text
    assert "Nothing was run." in text
    alone = "\n".join(fragment(Table("t", "c", ["a"], [nothing], "cmd")))
    assert "measured: nothing was run" in alone


def test_signs() -> None:
    assert latex("-3.20") == "$-3.20$"
    assert latex("[-1.00, +2.00]") == "$[-1.00, +2.00]$"
    assert latex("[1.00, 2.00]") == "[1.00, 2.00]"
    assert latex("a–b 'c' d's") == "a--b `c' d's"
    assert latex("中") == "[U+4E2D]"
    assert prose("short-word") == "short-word"
    assert r"\allowbreak{}" in prose("tiny-qwen2.5-vl_grpo_kawhi_tiny_s1-0.json")
    assert code("python -m a.b 'c' --d=1") == (
        r"\texttt{python -m a.\allowbreak{}b \textquotesingle{}c\textquotesingle{} --d=\allowbreak{}1}"
    )
