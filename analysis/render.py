"""Tables as Markdown, CSV and on a terminal; LaTeX and HTML have files of their own."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table as TerminalTable
from rich.text import Text

from analysis.table import Source, Table, Value


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
    rule = ["---", *["---:"] * (len(names) - 1)]
    lines = [[_markdown(h) for h in heads], rule, [f"**{_markdown(name)}**" for name in names]]
    for i, (label, cells) in enumerate(table.lines()):
        if i in table.blocks:
            lines.append([f"*{_markdown(table.blocks[i])}*", *[""] * (len(names) - 1)])
        shown = f"**{_markdown(label)}**" if i in table.ours else _markdown(label)
        lines.append([shown, *(_markdown_cell(cell, places) for cell in cells)])
    rows = [f"| {' | '.join(line)} |" for line in lines]
    notes = [f"- {_markdown(note)}" for note in notes_of(table)]
    text = [_markdown(table.caption), "", *rows, "", *notes, f"- Produced by `{table.command}`.", ""]
    if links and places:
        text += ["Where the numbers come from:", "", *(_markdown_source(s, at, links) for s, at in places.items()), ""]
    return "\n".join(text)


def notes_of(table: Table) -> list[str]:
    """What stands below a table: a note for each group, then those on the whole."""
    return [*(g.note for g in table.groups if g.note), *table.notes]


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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header, body = ["Block", table.title], [[""] * 2 for _ in table.rows]
    block = ""
    for i, label in enumerate(table.rows):
        block = table.blocks.get(i, block)
        body[i] = [block, label]
    if not table.blocks:
        header, body = header[1:], [line[1:] for line in body]
    for g in table.groups:
        for j, name in enumerate(g.columns):
            column = [line[j] for line in g.cells]
            parts = {name: [cell.text for cell in column]}
            parts |= {f"{name}, difference": [c.delta for c in column]} if any(c.delta for c in column) else {}
            parts |= {f"{name}, gain": [c.gain for c in column]} if any(c.gain for c in column) else {}
            _add(header, body, g.head, parts)
        sources = [next((cell.source for cell in line if cell.source), None) for line in g.cells]
        if links and any(sources):
            told = [(s.place or " and ".join(s.commands)) if s else "" for s in sources]
            files = ["; ".join(map(links.to, s.records)) if s else "" for s in sources]
            _add(header, body, g.head, {"source": told, **({"records": files} if any(files) else {})})
    writer.writerow(header)
    writer.writerows(body)
    return text.getvalue()


def _add(header: list[str], body: list[list[str]], head: str, columns: dict[str, list[str]]) -> None:
    for name, texts in columns.items():
        header.append(f"{head}: {name}")
        for line, text in zip(body, texts, strict=True):
            line.append(text)


def show(table: Table) -> None:
    """Prints the table: on a terminal each group is drawn by itself, which fits its width; a pipe gets Markdown."""
    console = Console()
    if not console.is_terminal:
        print(to_markdown(table), end="")
        return
    console.print(Text(table.caption))
    for g in table.groups:
        drawn = TerminalTable(table.title, title=Text(g.head), title_justify="left")
        for name in g.columns:
            drawn.add_column(name, justify="right")
        for i, (label, cells) in enumerate(zip(table.rows, g.cells, strict=True)):
            if i in table.blocks:
                drawn.add_row(Text(table.blocks[i], style="italic"))
            style = "bold" if i in table.ours else ""
            drawn.add_row(Text(label, style=style), *(Text(full_text(cell)) for cell in cells))
        console.print(drawn, Text(g.note))
    console.print(*map(Text, (*table.notes, f"Produced by {table.command}")), sep="\n")
