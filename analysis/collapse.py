"""A table as it is read: without columns and rows in which nothing was run, which a line below it names."""

from __future__ import annotations

from dataclasses import replace

from analysis.table import Table


def collapsed(table: Table) -> Table:
    """Without groups of columns that have no number, as long as another one has, and without rows that have none."""
    groups = [group for group in table.groups if group.numbers] or table.groups
    left = [group.note for group in table.groups if group not in groups and group.note]
    kept = [i for i in range(len(table.rows)) if any(cell.source for group in groups for cell in group.cells[i])]
    if gone := [label for i, label in enumerate(table.rows) if i not in kept]:
        left.append(f"Not run: {'; '.join(dict.fromkeys(gone)) if kept else f'all {len(gone)} rows'}.")
    place = {i: number for number, i in enumerate(kept)}
    return replace(
        table,
        rows=[table.rows[i] for i in kept],
        groups=[replace(group, cells=[group.cells[i] for i in kept]) for group in groups],
        ours=frozenset(place[i] for i in table.ours if i in place),
        blocks=_blocks(table, kept),
        notes=(*left, *table.notes),
    )


def _blocks(table: Table, kept: list[int]) -> dict[int, str]:
    """Headings of blocks, before the first row of each that is left."""
    starts = [max((start for start in table.blocks if start <= i), default=None) for i in kept]
    firsts = [number for number, start in enumerate(starts) if start is not None and start not in starts[:number]]
    return {number: table.blocks[start] for number in firsts if (start := starts[number]) is not None}
