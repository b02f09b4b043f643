"""Pages in a browser: no page is wider than its window, a table that is wider than its own place says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.make_tables import main
from tests.analysis.paper_records import measured, tiny
from tests.analysis.synthetic import Folder
from tests.explain.browser import tab  # noqa: F401

WIDTHS = (1280, 390)
SIDEWAYS = "[...document.querySelectorAll('.scroll')].map(box => box.scrollWidth > box.clientWidth + 1)"
TOLD = "[...document.querySelectorAll('.sideways')].map(hint => !hint.hidden)"
FIRST = "document.querySelector('tbody th[scope]').getBoundingClientRect().left"
CUT = """[...document.querySelectorAll('.scroll')].filter(box => !box.previousElementSibling.hidden).map(box => {
    box.scrollLeft = box.scrollWidth; const cell = box.querySelector('tbody tr:last-child td:last-child');
    return cell.getBoundingClientRect().right - box.getBoundingClientRect().right; })"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Folder(tmp_path_factory.mktemp("pages"))
    folder.add(*measured(), *tiny())
    assert main(["main", "region_selection", "methods", *folder.places]) == 0
    return folder.out


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["main_table", "main_table_compared", "region_selection", "methods"])
def test_a_table_stays_in_its_page_and_says_when_it_is_wider(tab, pages: Path, name: str, width: int) -> None:  # noqa: F811
    tab.open(pages / f"{name}.html", width)
    assert tab.overflow() <= 0
    assert tab.run(TOLD) == tab.run(SIDEWAYS)
    assert tab.unlabelled() == []
    before = tab.run(FIRST)
    assert all(over <= 1 for over in tab.run(CUT)), "the last column can be scrolled into view"
    assert tab.run(FIRST) == pytest.approx(before), "and the rows' names stay"
    assert tab.errors == []


def test_a_link_opens_the_fold_that_it_leads_into(tab, pages: Path) -> None:  # noqa: F811
    tab.open(pages / "main_table.html", 1280)
    assert tab.run("document.querySelector('.sources').open") is False
    tab.run("document.querySelector('td a').click()")
    tab.wait()
    assert tab.run("document.querySelector('.sources').open") is True


def test_what_was_run_fits_beside_the_papers_numbers(tab, tmp_path: Path) -> None:  # noqa: F811
    """At 1280 pixels, verdict and all, where nothing was run at full scale."""
    folder = Folder(tmp_path)
    folder.add(*tiny())
    assert main(["main", *folder.places]) == 0
    tab.open(folder.out / "main_table.html", 1280)
    assert tab.run(SIDEWAYS) == [False]
    assert tab.run("document.querySelectorAll('thead th.head').length") == 2
    assert "nothing was run" in tab.run("document.querySelector('.notes').textContent")
