"""Tables as Markdown, CSV and on a terminal; LaTeX and HTML have files of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table as TerminalTable
from rich.text import Text

from analysis.table import Group, Source, Table, Value


@dataclass(frozen=True)
class Links:
    """How a document that lies in ``folder`` names the records; without a folder it does not link them."""

    folder: Path | None = None

    def to(self, file: Path) -> str:
        """Relative, so that the results can be moved as a whole."""
        assert self.folder is not None
        return Path(os.path.relpath(file, self.folder)).as_posix()


def to_markdown(table: Table, links: Links | None = None) -> str:
    """GitHub's Markdown; the heads of the groups are its header, the columns' names its first, bold line.

    Args:
        links: makes each number a link to a line below the table, which says the command and the record.
    """
    places = table.anchors if links else {}
    heads = ["", *(text for g in table.groups for text in (g.head, *[""] * (len(g.columns) - 1)))]
    names = [table.title, *(name for g in table.groups for name in g.columns)]
    lines = [
        map(_markdown, heads),
        ["---", *["---:"] * (len(names) - 1)],
        [f"**{_markdown(name)}**" for name in names],
        *_body(table, len(names), places),
    ]
    rows = [f"| {' | '.join(line)} |" for line in lines]
    notes = [*map(_markdown, notes_of(table)), f"Produced by `{table.command}`."]
    text = [_markdown(table.caption), "", *rows, "", *(f"- {note}" for note in notes), ""]
    if links and places:
        text += ["Where the numbers come from:", "", *(_markdown_source(s, at, links) for s, at in places.items()), ""]
    return "\n".join(text)


def _body(table: Table, width: int, places: dict[Source, str]) -> Iterator[list[str]]:
    for i, label in enumerate(map(_markdown, table.rows)):
        if i in table.blocks:
            yield [f"*{_markdown(table.blocks[i])}*", *[""] * (width - 1)]
        cells = (_markdown_cell(cell, places) for g in table.groups for cell in g.cells[i])
        yield [f"**{label}**" if i in table.ours else label, *cells]


def notes_of(table: Table) -> list[str]:
    """What stands below a table: a note for each group, then those on the whole."""
    return [*(text for g in table.groups for text in (g.note, g.detail) if text), *table.notes]


def full_text(cell: Value) -> str:
    """A cell without any style."""
    parts = (cell.text, f"({cell.delta})" if cell.delta else "", f"(gain {cell.gain})" if cell.gain else "")
    return " ".join(part for part in parts if part)


def _markdown_cell(cell: Value, places: dict[Source, str]) -> str:
    text = _markdown(cell.text)
    text = f"**{text}**" if cell.best else text
    if cell.source in places:
        text = f"[{text}](#{places[cell.source]})"
    text += f" <sub>{_markdown(cell.delta)}</sub>" if cell.delta else ""
    return text + (f" ({_markdown(cell.gain)})" if cell.gain else "")


def _markdown_source(source: Source, at: str, links: Links) -> str:
    head = f'<a id="{at}"></a>{_markdown(source.label)}: '
    if source.place:
        return f"- {head}{_markdown(source.place)}"
    commands = " and ".join(f"`{command}`" for command in source.commands)
    records = ", ".join(f"[record]({links.to(file)})" for file in source.records)
    return f"- {head}{commands} ({records})"


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*<`])", r"\\\1", text)


def to_csv(table: Table, links: Links | None = None) -> str:
    """One header line; every column's name carries its group's head.  Differences and sources are further columns."""
    columns: list[tuple[str, Any]] = [(table.title, table.rows)]
    if table.blocks:
        columns.insert(0, ("Block", pd.Series(table.blocks, range(len(table.rows)), dtype=object).ffill().fillna("")))
    columns += [(f"{g.head}: {name}", texts) for g in table.groups for name, texts in _columns(g, links)]
    names, texts = zip(*columns, strict=True)
    return pd.DataFrame(dict(enumerate(texts))).to_csv(header=[*names], index=False, lineterminator="\n")


def _columns(group: Group, links: Links | None) -> Iterator[tuple[str, list[str]]]:
    for name, column in zip(group.columns, zip(*group.cells, strict=True), strict=True):
        yield name, [cell.text for cell in column]
        further = {"difference": [cell.delta for cell in column], "gain": [cell.gain for cell in column]}
        yield from ((f"{name}, {what}", texts) for what, texts in further.items() if any(texts))
    if links:
        firsts = [next((cell.source for cell in line if cell.source), Source("")) for line in group.cells]
        yield from _told(firsts, links)


def _told(sources: list[Source], links: Links) -> Iterator[tuple[str, list[str]]]:
    """Where the numbers of each row are from, where any has one, and their records, where any is ours."""
    files = ["; ".join(map(links.to, source.records)) for source in sources]
    if any(source.label for source in sources):
        yield "source", [source.place or " and ".join(source.commands) for source in sources]
    if any(files):
        yield "records", files


def show(tables: Sequence[Table]) -> None:
    """Prints tables: on a terminal each group is drawn by itself, which fits its width; a pipe gets Markdown."""
    console = Console()
    for number, table in enumerate(tables):
        print(end="\n" if number else "")
        if console.is_terminal:
            _draw(console, table)
        else:
            print(to_markdown(table), end="")


def _draw(console: Console, table: Table) -> None:
    console.print(Text(table.caption))
    for g in table.groups:
        drawn = TerminalTable(table.title, title=Text(g.head), title_justify="left")
        for name in g.columns:
            drawn.add_column(name, justify="right")
        for i, (label, cells) in enumerate(zip(table.rows, g.cells, strict=True)):
            if i in table.blocks:
                drawn.add_row(Text(table.blocks[i], style="italic"))
            drawn.add_row(
                Text(label, style="bold" if i in table.ours else ""), *(Text(full_text(cell)) for cell in cells)
            )
        console.print(drawn, *(Text(text) for text in (g.note, g.detail) if text), sep="\n")
    console.print(*map(Text, (*table.notes, f"Produced by {table.command}")), sep="\n")
