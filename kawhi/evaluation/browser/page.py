"""The page: template, style sheet, script and data in one text."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter

from jinja2.utils import htmlsafe_json_dumps

from kawhi import __version__
from kawhi.evaluation.browser.gather import Book
from kawhi.style.pages import templates

VERDICTS = {"right": "right", "wrong": "wrong", "partly": "partly right", "error": "judge error", "open": "open"}


def render(book: Book) -> str:
    """The whole page.

    Its content security policy allows the one script and the one style sheet that are in it and images in data URIs:
    nothing is requested, and markup in a response could not run even if it were taken for markup.
    """
    return (
        templates(__file__)
        .get_template("page.html")
        .render(
            book=book,
            counts=Counter(sample["verdict"] for sample in book.samples),
            data=htmlsafe_json_dumps(book.samples),
            hashed=_hashed,
            made_by=f"kawhi {__version__}",
            number=lambda value: "–" if value is None else f"{value:.2f}",
            verdicts=VERDICTS,
        )
    )


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
