"""A table before it is Markdown, LaTeX, CSV or a terminal's, and what tells its columns apart."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

EMPTY = "–"
CAUTION = {"measured": "", "tiny": "CPU world, not comparable with the paper"}
NAMED = 4  # differing keys a note names; the rest is counted


@dataclass(frozen=True)
class Group:
    """Columns of one provenance under a common head; ``cells`` has a line per row of the table."""

    name: str
    columns: tuple[str, ...]
    cells: list[tuple[str, ...]]
    note: str
    caution: str = ""

    @property
    def head(self) -> str:
        """The name with the caution, on one line."""
        return f"{self.name} ({self.caution})" if self.caution else self.name


@dataclass(frozen=True)
class Table:
    """Rows, groups of columns and notes; ``highlighted`` is the row of the method itself, if it has one."""

    name: str
    caption: str
    rows: list[str]
    groups: list[Group]
    command: str
    highlighted: int | None = None
    notes: tuple[str, ...] = ()  # about the whole table; each group has its own

    def lines(self) -> list[list[str]]:
        """The body: label, then the cells of all groups."""
        return [[label, *(c for g in self.groups for c in g.cells[i])] for i, label in enumerate(self.rows)]


def empty_group(columns: tuple[str, ...], rows: int) -> Group:
    """What stands where nothing was run."""
    return Group("measured: nothing was run", columns, [(EMPTY,) * len(columns)] * rows, "measured: nothing was run.")


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
