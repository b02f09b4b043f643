"""Computes again what the papers print about their own numbers, as far as rounded numbers allow."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from analysis.paper import Claim, PaperRow, PaperTable, claims, number, paper_tables

ORDERS = {"above": operator.gt, "below": operator.lt, "same": operator.eq}
Place = tuple[PaperTable, PaperRow]


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


def discrepancies() -> list[str]:
    """A sentence for each printed number, and each printed order, that the printed cells do not allow."""
    return disagreements(paper_tables(), claims())


def disagreements(tables: dict[str, PaperTable], claims: list[Claim]) -> list[str]:
    """As :func:`discrepancies`, of other tables and claims."""
    wrong = [sentence for table in tables.values() for sentence in _own_sums(table)]
    return wrong + [sentence for claim in claims if claim.check for sentence in _judge(claim, claim.check, tables)]


def _own_sums(table: PaperTable) -> Iterator[str]:
    """The averages, changes and gains that a table prints beside its cells."""
    for before, row in zip((None, *table.rows), table.rows, strict=False):
        sums = [each for column in row.cells for each in _sums(table, row, column)]
        if before and row.gain:
            column = next(iter(table.average))
            sums.append((f"gain of {row.row}", row.gain, _span(row, column) - _span(before, column)))
        for what, text, span in sums:
            if not span.allows(text):
                where = f"{table.paper}, {table.place}, {row.place}"
                yield f"{where}: the {what} is printed as {text}, but the cells give {span.like(text)}."


def _sums(table: PaperTable, row: PaperRow, column: str) -> Iterator[tuple[str, str, Span]]:
    """What is printed in a cell and beside it, and what it must be."""
    cell = row.cells[column]
    if column in table.average:
        yield f"{column} of {row.row}", cell.text, mean([_span(row, c) for c in table.average[column]])
    if column in table.mean_delta:
        yield f"{column} of {row.row}", cell.text, mean([Span.of(row.cells[c].delta) for c in table.mean_delta[column]])
    if cell.delta:  # from the row of the own block where several blocks have one
        several = sum(other.row == table.deltas_against for other in table.rows) > 1
        base = table.row(table.deltas_against, row.block if several else None)
        yield f"change of {row.row} on {column}", cell.delta, _span(row, column) - _span(base, column)


def _span(row: PaperRow, column: str) -> Span:
    return Span.of(row.cells[column].text)


def _judge(claim: Claim, check: dict[str, Any], tables: dict[str, PaperTable]) -> Iterator[str]:
    of, than = ([_find(name, tables) for name in check[side]] for side in ("of", "than"))
    size = max(len(of), len(than))
    pairs = list(zip(of * (size // len(of)), than * (size // len(than)), strict=True))
    columns = [(names[0], names[-1]) for names in (column.split("=") for column in check["columns"])]
    judged = {"one_of": _one_of, **dict.fromkeys(ORDERS, _orders)}.get(check["is"], _numbers)
    if wrong := judged(claim, check["is"], pairs, columns):
        yield f"{claim.paper}, {claim.place}: “{claim.says}”, but {f'{claim.reading} {wrong}'.strip()}."


def _find(name: str, tables: dict[str, PaperTable]) -> Place:
    """A row by "table | row" or "table | block | row"."""
    key, *block, row = name.split(" | ")
    return tables[key], tables[key].row(row, *block)


def _numbers(claim: Claim, kind: str, pairs: list[tuple[Place, Place]], columns: list[tuple[str, str]]) -> str:
    """The numbers of the claim that are not what the pairs of rows give, each in its column."""
    wrong = []
    for text, (left, right) in zip(claim.numbers, columns, strict=True):
        computed = NUMBERS[kind]([(_span(of, left), _span(than, right)) for (_, of), (_, than) in pairs])
        if not computed.allows(text):
            wrong.append(f"is {computed.like(text)}{SIGNS[claim.unit]}" + f" on {left}" * (len(columns) > 1))
    return "by the cells it " * (bool(wrong) and not claim.reading) + " and ".join(wrong)


def _one_of(claim: Claim, kind: str, pairs: list[tuple[Place, Place]], columns: list[tuple[str, str]]) -> str:
    (table, of), (other, _) = pairs[0]
    if any(all(of.cells[a].value == than.cells[b].value for a, b in columns) for _, (_, than) in pairs):
        return ""
    return f"no row of {_short(other)} has the numbers of {of.row} in {_short(table)}"


def _orders(claim: Claim, kind: str, pairs: list[tuple[Place, Place]], columns: list[tuple[str, str]]) -> str:
    """The cells that are not in the claim's order; a cell that is not printed has none."""
    wrong = []
    for (table, of), (other, than) in pairs:
        ours, theirs = of.row, than.row
        if table != other:
            ours, theirs = f"{ours} ({_short(table)})", f"{theirs} ({_short(other)})"
        block = f" ({of.block})" * (sum(row.row == of.row for row in table.rows) > 1)
        cells = ((left, of.cells.get(left), than.cells.get(right)) for left, right in columns)
        for left, a, b in cells:
            if a and b and not ORDERS[kind](number(a.text), number(b.text)):
                wrong.append(f"{ours} has {a.text} on {left} and {theirs} {b.text}{block}")
    return "; ".join(wrong)


def _short(table: PaperTable) -> str:
    """Its last part, as "table 3" of "sec. 4.2, table 3"."""
    return table.place.split(", ")[-1]
