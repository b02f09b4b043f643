"""A digit that was changed by hand, a file that is missing and one that is left over are noticed."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import make_report, make_tables, pdf
from analysis.check_committed import differences, main
from tests.analysis.synthetic import Folder, record
from tests.analysis.test_report import figures


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``results`` as `make paper` leaves it, without the PDF."""
    folder = Folder(tmp_path_factory.mktemp("results"))
    folder.add(record("kawhi", 1040), record("uniform", 1000))
    results = folder.out.parent
    figures(results / "figures")
    places = ["--records", str(folder.records)]
    assert make_tables.main([*places, "--out", str(results / "tables")]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdf, "PROGRAM", "no-such-program")
        make_report.main([*places, "--figures", str(results / "figures"), "--out", str(results / "report")])
    return results


def edited(file: Path, change: Callable[[str], str], results: Path) -> list[str]:
    """What is found while a file has other text."""
    text = file.read_text(encoding="utf-8")
    other = change(text)
    assert other != text
    file.write_text(other, encoding="utf-8")
    try:
        return differences(results)
    finally:
        file.write_text(text, encoding="utf-8")


def test_what_the_records_give_passes(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--results", str(made)]) == 0
    assert "are what the records give" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    [
        *(f"tables/region_selection.{ending}" for ending in ("md", "tex", "csv", "html")),
        *("report/report.tex", "report/report.html", "cards/000.md", "cards/000.html", "cards/README.md"),
    ],
)
def test_a_changed_digit_is_found(made: Path, name: str) -> None:
    (text,) = edited(made / name, lambda text: text.replace("52.00", "52.10", 1), made)
    assert re.fullmatch(rf"{name} differs, first in line \d+", text)


def test_a_changed_record_changes_all_that_speaks_of_it(made: Path) -> None:
    found = edited(made / "records" / "001.json", lambda text: text.replace('"steps": 20', '"steps": 21'), made)
    assert any(text.startswith("tables/region_selection.md differs") for text in found)
    assert any(text.startswith("cards/001.md") for text in found)


def test_missing_and_left_over_files_are_named(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = {
        "tables/heads.csv": "tables/feet.csv",
        "cards/001.md": "cards/002.md",
        "report/report.html": "report/old.html",
    }
    for old, new in moved.items():
        (made / old).rename(made / new)
    assert main(["--results", str(made)]) == 1
    for old, new in moved.items():
        (made / new).rename(made / old)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        *("tables/heads.csv is missing", "tables/feet.csv is left over: no record gives it"),
        *("report/report.html is missing", "report/old.html is left over: no record gives it"),
        *("cards/001.md is missing", "cards/002.md is left over: no record gives it"),
        "6 files are not what the records give: `make paper` makes them again",
    ]


def test_bytes_of_pictures_and_the_pdf_are_not_compared(made: Path) -> None:
    (made / "report" / "report.pdf").write_bytes(b"any")
    assert differences(made) == []
    assert (
        edited(made / "report" / "report.html", lambda text: re.sub(r"base64,[^\"]*", "base64,AAAA", text), made) == []
    )
