"""Computes again what the papers print about their own numbers, as far as rounded numbers allow."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # paper.py imports this file
    from analysis.paper import Claim, PaperRow, PaperTable

ORDERS = {"above": operator.gt, "below": operator.lt, "same": operator.eq}
Place = tuple["PaperTable", "PaperRow"]


def number(text: str) -> Decimal:
    """The value of a printed number, whose sign may be "↓".

    Raises:
        decimal.InvalidOperation: it is none.
    """
    return Decimal(text.replace("↓", "-"))


def unit(text: str) -> Decimal:
    """One unit of the last digit that is printed: 0.01 of "69.30"."""
    return Decimal(1).scaleb(int(number(text).as_tuple().exponent))


@dataclass(frozen=True)
class Span:
    """What printed numbers leave open: ``middle`` as they stand, ``low`` to ``high`` for what they were rounded from.

    Ends are included, since papers round halves up and down.
    """

    low: Decimal
    middle: Decimal
    high: Decimal

    @classmethod
    def of(cls, text: str) -> Span:
        """A printed number is right to half a unit of its last digit."""
        middle, half = number(text), unit(text) / 2
        return cls(middle - half, middle, middle + half)

    def __sub__(self, other: Span) -> Span:
        return Span(self.low - other.high, self.middle - other.middle, self.high - other.low)

    def percent_more_than(self, other: Span) -> Span:
        """How much it exceeds ``other``, as percent of ``other``; both are positive."""
        ratios = self.low / other.high, self.middle / other.middle, self.high / other.low
        return Span(*(100 * (ratio - 1) for ratio in ratios))

    def allows(self, text: str) -> bool:
        """Whether a number of the span would be printed as ``text``."""
        half = unit(text) / 2
        return self.low - half <= number(text) <= self.high + half

    def like(self, text: str) -> str:
        """The middle with the decimals and the kind of sign of ``text``."""
        value = self.middle.quantize(unit(text), ROUND_HALF_UP)
        return f"{value:+}" if text.startswith("+") else str(value).replace("-", "↓" if "↓" in text else "-")


def mean(spans: Sequence[Span]) -> Span:
    """The mean, whose parts may all be off in the same direction."""
    low, middle, high = zip(*((s.low, s.middle, s.high) for s in spans), strict=True)
    return Span(sum(low) / len(spans), sum(middle) / len(spans), sum(high) / len(spans))


NUMBERS: dict[str, Callable[[list[tuple[Span, Span]]], Span]] = {
    "value": lambda spans: spans[0][0],
    "difference": lambda spans: mean([of - than for of, than in spans]),
    "percent": lambda spans: spans[0][0].percent_more_than(spans[0][1]),
}
SIGNS = {"percent": " %", "points": " points", "seconds": " s", "": ""}


def disagreements(content: dict[str, Any], tables: dict[str, PaperTable], claims: list[Claim]) -> list[str]:
    """A sentence for each sum of a table, and each claim, that the cells do not allow; ``content`` is the file's."""
    own = [sentence for key, entry in content["tables"].items() for sentence in _own_sums(tables[key], entry)]
    return own + [sentence for claim in claims for sentence in _judge(claim, tables)]


def _own_sums(table: PaperTable, entry: dict[str, Any]) -> Iterator[str]:
    """The averages, changes and gains that a table prints beside its cells."""
    averages, mean_deltas = entry.get("average", {}), entry.get("mean_delta", {})
    for raw, row in zip(entry["rows"], table.rows, strict=True):
        cells = {column: Span.of(cell.text) for column, cell in row.cells.items()}
        sums = []
        for column, cell in row.cells.items():
            if column in averages:
                sums.append((f"{column} of {row.row}", cell.text, mean([cells[c] for c in averages[column]])))
            if column in mean_deltas:
                deltas = [Span.of(row.cells[c].delta) for c in mean_deltas[column]]
                sums.append((f"{column} of {row.row}", cell.text, mean(deltas)))
            if cell.delta:
                base = _base(table, entry["deltas_against"], row).cells[column]
                sums.append((f"change of {row.row} on {column}", cell.delta, cells[column] - Span.of(base.text)))
        if row.gain:
            column = next(iter(averages))
            base = _base(table, raw["gain_over"], row).cells[column]
            sums.append((f"gain of {row.row}", row.gain, cells[column] - Span.of(base.text)))
        for what, text, span in sums:
            if not span.allows(text):
                where = f"{table.paper}, {table.place}, {raw['place']}"
                yield f"{where}: the {what} is printed as {text}, but the cells give {span.like(text)}."


def _base(table: PaperTable, name: str, row: PaperRow) -> PaperRow:
    """What ``row`` is compared with: the row of its own block where several blocks have one."""
    return table.row(name, row.block if sum(r.row == name for r in table.rows) > 1 else None)


def _judge(claim: Claim, tables: dict[str, PaperTable]) -> Iterator[str]:
    if claim.check is None:
        return
    of = [_find(name, tables) for name in claim.check["of"]]
    than = [_find(name, tables) for name in claim.check.get("than", claim.check["of"])]
    size = max(len(of), len(than))
    pairs = list(zip(of * (size // len(of)), than * (size // len(than)), strict=True))
    columns = [(names[0], names[-1]) for names in (column.split("=") for column in claim.check["columns"])]
    kind = claim.check["is"]
    judged = _orders if kind in (*ORDERS, "one_of") else _numbers
    if wrong := judged(claim, kind, pairs, columns):
        yield f"{claim.paper}, {claim.place}: “{claim.says}”, but {f'{claim.reading} {wrong}'.strip()}."


def _find(name: str, tables: dict[str, PaperTable]) -> Place:
    """A row by "table | row" or "table | block | row"."""
    key, *block, row = name.split(" | ")
    return tables[key], tables[key].row(row, *block)


def _numbers(claim: Claim, kind: str, pairs: list[tuple[Place, Place]], columns: list[tuple[str, str]]) -> str:
    """The numbers of the claim that are not what the pairs of rows give, each in its column."""
    wrong = []
    for text, (left, right) in zip(claim.numbers, columns, strict=True):
        spans = [(Span.of(of.cells[left].text), Span.of(than.cells[right].text)) for (_, of), (_, than) in pairs]
        computed = NUMBERS[kind](spans)
        if not computed.allows(text):
            wrong.append(f"is {computed.like(text)}{SIGNS[claim.unit]}" + f" on {left}" * (len(columns) > 1))
    return "by the cells it " * (bool(wrong) and not claim.reading) + " and ".join(wrong)


def _orders(claim: Claim, kind: str, pairs: list[tuple[Place, Place]], columns: list[tuple[str, str]]) -> str:
    """The cells that are not in the claim's order; a cell that is not printed has none."""
    if kind == "one_of":
        (table, of), (other, _) = pairs[0]
        if any(all(of.cells[a].value == than.cells[b].value for a, b in columns) for _, (_, than) in pairs):
            return ""
        return f"no row of {_short(other)} has the numbers of {of.row} in {_short(table)}"
    wrong = []
    for (table, of), (other, than) in pairs:
        for left, right in columns:
            a, b = of.cells.get(left), than.cells.get(right)
            if a and b and not ORDERS[kind](number(a.text), number(b.text)):
                names = [of.row, than.row]
                if table != other:
                    names = [f"{of.row} ({_short(table)})", f"{than.row} ({_short(other)})"]
                block = f" ({of.block})" * (sum(r.row == of.row for r in table.rows) > 1)
                wrong.append(f"{names[0]} has {a.text} on {left} and {names[1]} {b.text}{block}")
    return "; ".join(wrong)


def _short(table: PaperTable) -> str:
    """Its last part, as "table 3" of "sec. 4.2, table 3"."""
    return table.place.split(", ")[-1]
