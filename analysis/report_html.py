"""The report as one page that needs no other file; a number's link opens its command below the table."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from analysis.render import Links
from analysis.render_html import page, table_html
from analysis.report import NO_FIGURES, READING, TITLE, Part, Picture, Report

CSS = """
body { max-width: 1240px; }
section > p { max-width: 110ch; }
.part { font-size: 1.4rem; margin: 40px 0 0; }
.part + p, .part + section { margin-top: 10px; }
h3 { margin: 0 0 4px; }
nav ol { columns: 2 22em; list-style: decimal; padding-left: 2em; }
nav a, .sources a, figure a { color: var(--blue); }
figure { margin: 0; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto 10px; }
figcaption { color: var(--ink); max-width: 100ch; }
.plain li { list-style: disc; margin: 4px 0 4px 1.2em; max-width: 100ch; }

"""
# Older browsers leave closed what a link leads into.
SCRIPT = """
function open_target() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = place && place.closest("details");
  if (fold && !fold.open) { fold.open = true; place.scrollIntoView(); }
}
addEventListener("hashchange", open_target);
open_target();
"""


def report_html(report: Report, out: Path) -> str:
    """The page, which links records and cards as seen from ``out``."""
    links = Links(out)
    blocks = [
        ("reading", "How to read the tables", _reading(report)),
        *((_id(part), part.title, _part(part, links)) for part in report.parts),
        ("figures", "Figures", _figures(report, links)),
        ("disagreements", "Where the papers disagree", _disagreements(report)),
        ("left-out", "Left out", _left_out(report)),
    ]
    contents = "".join(f'<li><a href="#{at}">{escape(title)}</a></li>' for at, title, _ in blocks)
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in report.facts.items())
    body = (
        f"<header><h1>{escape(TITLE)}</h1><p>Made from records alone; the same records give the same report.</p>"
        f"</header>\n<section><dl>{facts}</dl></section>\n<nav><section><ol>{contents}</ol></section></nav>\n"
    )
    body += "\n".join(f'<h2 class="part" id="{at}">{escape(title)}</h2>\n{text}' for at, title, text in blocks)
    return page(TITLE, f"{body}\n<script>{SCRIPT}</script>", CSS)


def _id(part: Part) -> str:
    return "part-" + "-".join(part.title.lower().split())


def _reading(report: Report) -> str:
    texts = [f"<p><b>{escape(name)}.</b> {escape(text)}</p>" for name, text in READING]
    return f"<section>{''.join(texts)}{''.join(f'<p>{escape(note)}</p>' for note in report.notes)}</section>"


def _part(part: Part, links: Links) -> str:
    texts = [f"<p>{escape(part.text)}</p>"] if part.text else []
    texts += [table_html(table, links, level=3, folded=True) for table in part.tables]
    for text, command in part.absent:
        texts.append(f"<p>{escape(text)}{f' <code>{escape(command)}</code>' if command else ''}</p>")
    return "\n".join(texts)


def _figures(report: Report, links: Links) -> str:
    return (
        "\n".join(_figure(picture, report.folder, links) for picture in report.pictures)
        or f"<p>{escape(NO_FIGURES)}</p>"
    )


def _figure(picture: Picture, records: Path, links: Links) -> str:
    image = base64.b64encode(picture.file("png").read_bytes()).decode()
    files = "".join(
        f'<li><a href="{escape(links.to(records / name))}">{escape(name)}</a></li>' for name in picture.records
    )
    return (
        f'<section><figure id="{escape(picture.anchor)}"><h3>{escape(picture.title)}</h3>\n'
        f'<img alt="{escape(picture.title)}" src="data:image/png;base64,{image}">\n'
        f"<figcaption>{escape(picture.caption)}</figcaption>\n"
        f'<details class="sources"><summary>Where it comes from</summary><p><code>{escape(picture.command)}</code></p>'
        f"<ol>{files}</ol></details></figure></section>"
    )


def _disagreements(report: Report) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in report.disagreements)
    return (
        "<p>Every number and every claim of the papers that their printed cells can decide was computed again. These "
        "are the ones that the cells do not allow; <code>docs/discrepancies.md</code> has them too, and what was "
        f'found by reading.</p>\n<section class="plain"><ol>{items}</ol></section>'
    )


def _left_out(report: Report) -> str:
    if not report.left_out:
        return "<p>Nothing: every record of the folder is used, and every table is made.</p>"
    return (
        f'<section class="plain"><ol>{"".join(f"<li>{escape(text)}</li>" for text in report.left_out)}</ol></section>'
    )
