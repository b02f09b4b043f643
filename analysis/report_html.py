"""The report as one page that needs no other file; a number's link opens its command below the table."""

from __future__ import annotations

import base64
from pathlib import Path

from analysis.render import Links
from analysis.render_html import PAGES
from analysis.report import NO_FIGURES, READING, TITLE, Report


def report_html(report: Report, out: Path) -> str:
    """The page, which links records and cards as seen from ``out``."""
    page = PAGES.get_template("report.html").render(
        base64_of=lambda file: base64.b64encode(file.read_bytes()).decode(),
        links=Links(out),
        no_figures=NO_FIGURES,
        reading=READING,
        report=report,
        title=TITLE,
    )
    return page + "\n"
