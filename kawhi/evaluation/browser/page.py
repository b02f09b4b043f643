"""The page: template, style sheet, script and data in one text."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from kawhi import __version__
from kawhi.evaluation.browser.gather import Book
from kawhi.style.css import BASE

VERDICTS = {"right": "right", "wrong": "wrong", "partly": "partly right", "error": "judge error", "open": "open"}


def render(book: Book) -> str:
    """The whole page.

    Its content security policy allows the one script and the one style sheet that are in it and images in data URIs:
    nothing is requested, and markup in a response could not run even if it were taken for markup.
    """
    style = BASE + _part("page.css")
    script = _part("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_part("page.html")).render(
        book=book,
        counts=Counter(sample["verdict"] for sample in book.samples),
        data=htmlsafe_json_dumps(book.samples),
        made_by=f"kawhi {__version__}",
        number=lambda value: "–" if value is None else f"{value:.2f}",
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}",
        script=Markup(script),
        style=Markup(style),
        verdicts=VERDICTS,
    )


def _part(name: str) -> str:
    return (files("kawhi.evaluation.browser") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
