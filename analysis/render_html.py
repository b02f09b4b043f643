"""Tables as HTML: each number is a link to its command, which also shows when the pointer rests on it."""

from __future__ import annotations

from analysis.notes import SHARED
from analysis.render import Links, notes_of
from analysis.table import Table
from kawhi.records.folder import record_name
from kawhi.style.pages import templates

PAGES = templates(__file__)
PAGES.globals |= {"notes_of": notes_of, "record_name": record_name, "shared_notes": SHARED}


def to_html(table: Table, links: Links) -> str:
    """A page of one table that needs no other file."""
    return PAGES.get_template("table_page.html").render(table=table, links=links) + "\n"
