"""The numbers that the KAWHI and the ToR paper print."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from analysis.table import Source, Value

FILE = Path(__file__).parent / "paper.yaml"
DASH = "null"  # what paper.yaml, read as text, has where a table prints nothing


def number(text: str) -> Decimal:
    """The value of a printed number, whose sign may be "↓".

    Raises:
        decimal.InvalidOperation: it is none.
    """
    return Decimal(text.replace("↓", "-"))


@dataclass(frozen=True)
class Printed:
    """A number of a table."""

    value: float
    text: str  # as printed, e.g. "69.30"
    delta: str  # as printed beside it, e.g. "+1.83" or "↓0.98"; "" where none is printed
    unit: str  # "percent", "points", "seconds"
    place: str  # "KAWHI, sec. 4.2, table 1, line 6"

    @property
    def shown(self) -> Value:
        """In a table."""
        return Value(self.text, source=Source("as printed", place=self.place))


@dataclass(frozen=True)
class PaperRow:
    """A line of a table; ``cells`` is by column and has only what is printed."""

    block: str  # "" where the table has none
    row: str
    place: str
    cells: dict[str, Printed]
    gain: str  # "+0.82", over the row before, or ""
    data_size: str  # ToR's column of that name


@dataclass(frozen=True)
class PaperTable:
    """A table, or what the text says of a figure in numbers.

    Attributes:
        average: a column -> those whose mean it is; ``mean_delta``: whose changes' mean it is.
        deltas_against: the row from which the changes of the others are.
    """

    key: str
    paper: str  # "KAWHI" or "ToR"
    title: str
    place: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    average: dict[str, list[str]] = field(default_factory=dict)
    mean_delta: dict[str, list[str]] = field(default_factory=dict)
    deltas_against: str = ""

    def row(self, row: str, block: str | None = None) -> PaperRow:
        """Raises:
        KeyError: no row has this name, or rows of several blocks have it.
        """
        blocks = [own.block for own in self.rows if own.row == row]
        if not blocks:
            raise KeyError(f"{self.key} has no row {row!r}, but {[own.row for own in self.rows]}.")
        wanted = block if block is not None or len(blocks) > 1 else blocks[0]
        for own in self.rows:
            if (own.row, own.block) == (row, wanted):
                return own
        raise KeyError(f"{self.key} has {row!r} in {blocks}: name one of these blocks, not {block!r}.")


@dataclass(frozen=True)
class Claim:
    """What a paper or its page says about its numbers; ``paper.yaml`` explains ``reading`` and ``check``."""

    paper: str
    place: str
    says: str  # its words; … where some are left out
    numbers: tuple[str, ...] = ()  # as printed
    unit: str = ""
    reading: str = ""
    check: dict[str, Any] | None = None


@cache
def content() -> dict[str, Any]:
    """``paper.yaml``; all is text: 69.30 stays 69.30."""
    return yaml.load(FILE.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


@cache
def paper_tables() -> dict[str, PaperTable]:
    """All tables by key, in the order of ``paper.yaml``."""
    return {key: table_of(key, entry) for key, entry in content()["tables"].items()}


def table_of(key: str, entry: dict[str, Any]) -> PaperTable:
    """A table as ``paper.yaml`` has it."""
    columns, units = tuple(entry["columns"]), entry["unit"]
    units = dict.fromkeys(columns, units) if isinstance(units, str) else units
    rows, block = [], ""
    for line, raw in enumerate(entry["rows"], 1):
        block, place = raw.get("block", block), raw.get("place", f"line {line}")
        where = f"{entry['paper']}, {entry['place']}, {place}"
        printed = zip(columns, raw["values"], raw.get("deltas", [DASH] * len(columns)), strict=True)
        cells = {
            column: Printed(float(number(text)), text, delta.replace(DASH, ""), units[column], where)
            for column, text, delta in printed
            if text != DASH
        }
        rows.append(PaperRow(block, raw["row"], place, cells, raw.get("gain", ""), raw.get("data_size", "")))
    sums = {name: entry[name] for name in ("average", "mean_delta", "deltas_against") if name in entry}
    return PaperTable(key, entry["paper"], entry["title"], entry["place"], columns, tuple(rows), **sums)


@cache
def claims() -> list[Claim]:
    """All claims, with a check and without."""
    places = ((paper, *each) for paper, own in content()["claims"].items() for each in own.items())
    return [_claim(paper, place, entry) for paper, place, entries in places for entry in entries]


def _claim(paper: str, place: str, entry: dict[str, Any]) -> Claim:
    numbers = tuple(re.findall(r"\*(.+?)\*", entry["says"]))
    own = {"says": entry["says"].replace("*", ""), "unit": entry.get("unit", ""), "reading": entry.get("reading", "")}
    return Claim(paper, place, numbers=numbers, **own, check=_check(entry["check"]) if "check" in entry else None)


def _check(entry: dict[str, Any]) -> dict[str, Any]:
    """With the full names of all rows, and with columns."""
    check, before = dict(entry), ""
    for side in ("of", "than"):
        names = []
        for name in entry.get(side, []):
            names.append(name if " | " in name else f"{before} | {name}")
            before = names[-1].rpartition(" | ")[0]
        check[side] = names
    check["than"] = check["than"] or check["of"]
    table = check["of"][0].partition(" | ")[0]
    return {"columns": list(paper_tables()[table].columns)} | check
