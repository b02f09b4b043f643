"""The numbers that the KAWHI and the ToR paper print, and whether they fit each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from analysis.paper_checks import disagreements, number
from analysis.table import Source, Value

FILE = Path(__file__).parent / "paper.yaml"
DASH = "null"  # what paper.yaml, read as text, has where a table prints nothing


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
    cells: dict[str, Printed]
    gain: str  # "+0.82" or ""
    data_size: str = ""  # ToR's column of that name


@dataclass(frozen=True)
class PaperTable:
    """A table, or what the text says of a figure in numbers."""

    key: str
    paper: str  # "KAWHI" or "ToR"
    title: str
    place: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]

    def row(self, row: str, block: str | None = None) -> PaperRow:
        """Raises:
        KeyError: no row has this name, or rows of several blocks have it.
        """
        named = [r for r in self.rows if r.row == row]
        found = [r for r in named if block is None or r.block == block]
        if len(found) == 1:
            return found[0]
        if not named:
            raise KeyError(f"{self.key} has no row {row!r}, but {[r.row for r in self.rows]}.")
        raise KeyError(
            f"{self.key} has {row!r} in {[r.block for r in named]}: name one of these blocks, not {block!r}."
        )


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
def _content() -> dict[str, Any]:
    return yaml.load(FILE.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # all is text: 69.30 stays 69.30


@cache
def paper_tables() -> dict[str, PaperTable]:
    """All tables by key, in the order of ``paper.yaml``."""
    return _tables(_content())


def claims() -> list[Claim]:
    """All claims, with a check and without."""
    return _claims(_content())


def discrepancies() -> list[str]:
    """A sentence for each printed number, and each printed order, that the printed cells do not allow."""
    return compare(_content())


def compare(content: dict[str, Any]) -> list[str]:
    """``discrepancies`` of a ``paper.yaml`` with other content."""
    return disagreements(content, _tables(content), _claims(content))


def _tables(content: dict[str, Any]) -> dict[str, PaperTable]:
    tables = {}
    for key, entry in content["tables"].items():
        paper, title, where, columns = entry["paper"], entry["title"], entry["place"], tuple(entry["columns"])
        units = dict.fromkeys(columns, entry["unit"]) if isinstance(entry["unit"], str) else entry["unit"]
        rows = []
        for raw in entry["rows"]:
            cells, place = {}, f"{paper}, {where}, {raw['place']}"
            deltas = [delta.replace(DASH, "") for delta in raw.get("deltas", [DASH] * len(columns))]
            for column, text, delta in zip(columns, raw["values"], deltas, strict=True):
                if text != DASH:
                    cells[column] = Printed(float(number(text)), text, delta, units[column], place)
            row = PaperRow(raw.get("block", ""), raw["row"], cells, raw.get("gain", ""), raw.get("data_size", ""))
            rows.append(row)
        tables[key] = PaperTable(key, paper, title, where, columns, tuple(rows))
    return tables


def _claims(content: dict[str, Any]) -> list[Claim]:
    return [Claim(**entry | {"numbers": tuple(entry.get("numbers", ()))}) for entry in content["claims"]]
