"""A table before it is Markdown, LaTeX, HTML, CSV or a terminal's, and what tells its columns apart."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

EMPTY = "–"
CAUTION = {"measured": "", "tiny": "CPU world, not comparable with the paper"}
NAMED = 4  # differing keys a note names; the rest is counted


@dataclass(frozen=True)
class Source:
    """Where numbers of a table come from: what to type, and what it left; or the place where a paper prints them.

    Attributes:
        label: row and head of the numbers.
        commands: one for each record, each once.
        records: files, as the tables were given their folder.
        place: of a paper's number; empty for ours.
        outdated: benchmarks among the numbers that were scored by rules that have changed since.
        refused: benchmarks with the number of their samples that the judge refused and that count as wrong.
        accepted: why trainings that failed a health check are trusted (``kawhi accept``).
    """

    label: str
    commands: tuple[str, ...] = ()
    records: tuple[Path, ...] = ()
    place: str = ""
    outdated: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Value:
    """One cell of a table.

    Attributes:
        text: what is read.
        delta: smaller and lower beside it: the difference from a row that the table names.
        gain: in brackets after it.
        best: the best of its column among comparable rows.
        source: of the number; ``None`` where there is none.
    """

    text: str
    delta: str = ""
    gain: str = ""
    best: bool = False
    source: Source | None = None


@dataclass(frozen=True)
class Group:
    """Columns of one provenance under a common head; ``cells`` has a line per row of the table.

    Attributes:
        detail: what further stands below the table; a page folds it away.
    """

    name: str
    columns: tuple[str, ...]
    cells: list[tuple[Value, ...]]
    note: str
    caution: str = ""
    detail: str = ""

    @property
    def head(self) -> str:
        """The name with the caution, on one line."""
        return f"{self.name} ({self.caution})" if self.caution else self.name

    @property
    def numbers(self) -> int:
        """Rows that have one."""
        return sum(any(cell.source is not None for cell in line) for line in self.cells)


@dataclass(frozen=True)
class Table:
    """Rows, groups of columns and notes.

    Attributes:
        command: runs everything that the table is about.
        ours: rows of the method that the table is about; they are grey.
        blocks: a heading before the row of that number.
        notes: about the whole table; each group has its own.
        title: of the first column.
    """

    name: str
    caption: str
    rows: list[str]
    groups: list[Group]
    command: str
    ours: frozenset[int] = frozenset()
    blocks: dict[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    title: str = "Experiment"

    @cached_property
    def anchors(self) -> dict[Source, str]:
        """Every source of a cell, in order, and a name for it that is unique in a document of several tables."""
        cells = [cell for g in self.groups for line in g.cells for cell in line]
        sources = dict.fromkeys(cell.source for cell in cells if cell.source is not None)
        return {source: f"{self.name}-{number}" for number, source in enumerate(sources, 1)}


NOTED = {
    "outdated": "Scored by rules that have changed since, so today's may give other numbers for the same responses "
    "(kawhi rescore)",
    "refused": "With samples that the judge refused for good and that count as wrong (judge.on_refusal=wrong)",
    "accepted": "Failed a health check and accepted by hand (kawhi accept), with the reason",
}
"""What a table says below itself of rows whose source has something to tell."""


def with_notes(table: Table) -> Table:
    """With a note for each thing of :data:`NOTED` that names the rows which it is about, where there are any."""
    notes = []
    for name, sentence in NOTED.items():
        told = [(source.label, getattr(source, name)) for source in table.anchors if getattr(source, name)]
        if told:
            rows = "; ".join(f"{label} ({', '.join(own)})" for label, own in told)
            notes.append(f"{sentence}: {rows}.")
    return replace(table, notes=(*table.notes, *notes))


def plain(*texts: str, source: Source | None = None) -> tuple[Value, ...]:
    """Cells with nothing beside their text; an en dash has no source."""
    return tuple(Value(text, source=None if text == EMPTY else source) for text in texts)


def empty_line(columns: int) -> tuple[Value, ...]:
    """A row that was not run."""
    return plain(*(EMPTY,) * columns)


def empty_group(columns: tuple[str, ...], rows: int, line: tuple[Value, ...] = ()) -> Group:
    """What stands where nothing was run; ``line`` in place of dashes alone."""
    lines = [line or empty_line(len(columns))] * rows
    return Group("measured: nothing was run", columns, lines, "measured: nothing was run.")


def by_row(labels: dict[str, str], texts: dict[str, str]) -> str:
    """One text when all rows agree, else each row's."""
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{label}: {texts[row]}" for row, label in labels.items() if row in texts)


def differing(settings: list[dict[str, Any]]) -> list[str]:
    """The keys whose values are not equal in all ``settings``; a missing one differs from ``null``."""
    keys = sorted({key for setting in settings for key in setting})
    return [key for key in keys if len({_shown(setting, key) for setting in settings}) > 1]


def told_apart(names: list[str], settings: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """A head and its long form per group: groups of one name get a number, and the values in which they differ."""
    found = []
    for i, name in enumerate(names):
        alike = [j for j, other in enumerate(names) if other == name]
        if len(alike) == 1:
            found.append((name, name))
            continue
        keys = differing([settings[j] for j in alike])
        values = [f"{key} {_short(_shown(settings[i], key))}" for key in keys[:NAMED]]
        more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
        head = f"{name}, setting {alike.index(i) + 1}"
        found.append((head, f"{head} ({', '.join(values)}{more})"))
    return found


def _shown(setting: dict[str, Any], key: str) -> str:
    return json.dumps(setting[key], sort_keys=True) if key in setting else "not set"


def _short(text: str) -> str:
    """A fingerprint's first digits tell it apart as well as all of them."""
    text = text.strip('"')
    return text if len(text) <= 24 else f"{text[:8]}…"
