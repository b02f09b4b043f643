"""A digit that was changed by hand, and a table that no record gives, are noticed."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import make_tables
from analysis.check_committed import differences, main
from tests.analysis.synthetic import Folder, record


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``results/published`` with some of the tables that its records give."""
    folder = Folder(tmp_path_factory.mktemp("published"))
    folder.add(record("kawhi", 1040), record("uniform", 1000))
    assert make_tables.main(["region_selection", "heads", *folder.places]) == 0
    return folder.out.parent


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


@pytest.mark.parametrize("ending", ["md", "tex", "csv", "html"])
def test_a_changed_digit_is_found(made: Path, ending: str) -> None:
    name = f"tables/region_selection.{ending}"
    (text,) = edited(made / name, lambda text: text.replace("52.00", "52.10", 1), made)
    assert re.fullmatch(rf"{name} differs, first in line \d+", text)


def test_a_changed_record_changes_all_that_speaks_of_it(made: Path) -> None:
    found = edited(made / "records" / "001.json", lambda text: text.replace('"steps": 20', '"steps": 21'), made)
    assert any(text.startswith("tables/region_selection.md differs") for text in found)
    assert any(text.startswith("tables/heads.md differs") for text in found)


def test_left_over_files_are_named(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = made / "tables" / "heads.csv", made / "tables" / "feet.csv"
    old.rename(new)
    assert main(["--results", str(made)]) == 1
    new.rename(old)
    assert capsys.readouterr().err.splitlines() == [
        "tables/feet.csv is left over: no record gives it",
        "1 file is not what the records give: `make publish` makes the tables again",
    ]
