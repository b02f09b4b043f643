"""Tables as HTML: each number is a link to its command, which also shows when the pointer rests on it."""

from __future__ import annotations

from html import escape

from analysis.render import Links, notes_of
from analysis.table import Source, Table, Value
from kawhi.style.css import BASE

CSS = """
td a { color: inherit; text-decoration: underline dotted var(--line); text-underline-offset: 3px; }
td a:hover { color: var(--blue); text-decoration-color: var(--blue); }
td sub { color: var(--grey); font-size: .78em; }
tr.ours { background: #ECECE8; }
tr.block th { font-style: italic; color: var(--ink); padding-top: 12px; }
thead th.head { text-align: center; padding: 5px 14px; }
thead th small { display: block; font-weight: 400; }
td, th { border: 0; }
thead th + th { border-left: 0; }
.group { border-left: 1px solid var(--line); }
.notes, .sources { font-size: .8rem; color: var(--grey); }
.notes p { max-width: 100ch; margin: 4px 0; }
.sources ol { list-style: decimal; padding-left: 2.2em; }
.sources li { overflow-wrap: anywhere; margin: 3px 0; }
.sources li:target { background: #FFF3D6; color: var(--ink); }
.sources code { color: var(--ink); }
"""
"""What tables add to the pages' common style."""


def to_html(table: Table, links: Links) -> str:
    """A page of one table."""
    return page(table.caption, table_html(table, links))


def page(title: str, body: str, more_css: str = "") -> str:
    """A page that needs no other file."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{BASE}{CSS}{more_css}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def table_html(table: Table, links: Links, level: int = 2, folded: bool = False) -> str:
    """A section with the table, its notes and its sources.

    Args:
        level: of the heading.
        folded: the sources are shown on a click.
    """
    names = "".join(
        f'<th{_edge(j)} scope="col">{escape(name)}</th>' for g in table.groups for j, name in enumerate(g.columns)
    )
    heads = "".join(
        f'<th class="head group" colspan="{len(g.columns)}" scope="colgroup">{escape(g.name)}'
        f"{f'<small>{escape(g.caution)}</small>' if g.caution else ''}</th>"
        for g in table.groups
    )
    width = 1 + sum(len(g.columns) for g in table.groups)
    lines = []
    for i, label in enumerate(table.rows):
        if i in table.blocks:
            lines.append(f'<tr class="block"><th colspan="{width}">{escape(table.blocks[i])}</th></tr>')
        cells = "".join(
            f"<td{_edge(j)}>{_cell(table, cell)}</td>" for g in table.groups for j, cell in enumerate(g.cells[i])
        )
        ours = ' class="ours"' if i in table.ours else ""
        lines.append(f'<tr{ours}><th scope="row">{escape(label)}</th>{cells}</tr>')
    notes = "".join(f"<p>{escape(note)}</p>" for note in notes_of(table))
    sources = "".join(_source(source, at, links) for source, at in table.anchors.items())
    told = (
        f'<details class="sources"{"" if folded else " open"}><summary>Where the numbers come from</summary>'
        f"<ol>{sources}</ol></details>"
    )
    return (
        f'<section id="{table.name}">\n<h{level}>{escape(table.caption)}</h{level}>\n<div class="scroll"><table>\n'
        f'<thead><tr><th></th>{heads}</tr><tr><th scope="col">{escape(table.title)}</th>{names}</tr></thead>\n'
        f"<tbody>{''.join(lines)}</tbody>\n</table></div>\n"
        f'<div class="notes">{notes}<p>Produced by <code>{escape(table.command)}</code>.</p></div>\n'
        f"{told if sources else ''}</section>"
    )


def _edge(number: int) -> str:
    return ' class="group"' if number == 0 else ""


def _cell(table: Table, cell: Value) -> str:
    text = escape(cell.text)
    text = f"<b>{text}</b>" if cell.best else text
    if cell.source is not None:
        told = cell.source.place or " and ".join(cell.source.commands)
        text = f'<a href="#{table.anchors[cell.source]}" title="{escape(told)}">{text}</a>'
    text += f"<sub>{escape(cell.delta)}</sub>" if cell.delta else ""
    return text + (f" <small>({escape(cell.gain)})</small>" if cell.gain else "")


def _source(source: Source, at: str, links: Links) -> str:
    head = f'<li id="{at}">{escape(source.label)}: '
    if source.place:
        return f"{head}{escape(source.place)}</li>"
    commands = " and ".join(f"<code>{escape(command)}</code>" for command in source.commands)
    records = ", ".join(f'<a href="{escape(links.to(file))}">{escape(file.name)}</a>' for file in source.records)
    return f"{head}{commands} ({records})</li>"
