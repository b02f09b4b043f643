"""Seeds in words: what all cells share once, and what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Seeds = Mapping[str, int]


def seeds_told(rows: Mapping[str, Sequence[Seeds]]) -> str:
    """The seeds of each row's cells, by the row's label, as part of a sentence; empty where there are none."""
    every = [dict(seeds) for cells in rows.values() for seeds in cells]
    names = [*dict.fromkeys(name for seeds in every for name in seeds)]
    shared = [name for name in names if len({seeds.get(name) for seeds in every}) == 1]
    varied = [name for name in names if name not in shared]
    told = [", ".join(f"{name} {every[0][name]}" for name in shared)] * bool(shared)
    if varied:
        told.append(f"{'/'.join(varied)} {_by_row({label: _values(cells, varied) for label, cells in rows.items()})}")
    return "; ".join(told)


def _values(cells: Sequence[Seeds], names: Sequence[str]) -> str:
    found = sorted([seeds.get(name, -1) for name in names] for seeds in cells)
    shown = ("/".join("–" if value < 0 else str(value) for value in own) for own in found)
    return ", ".join(dict.fromkeys(shown))


def _by_row(texts: Mapping[str, str]) -> str:
    """Rows with the same text together; of several kinds the most frequent is that of all others."""
    kinds: dict[str, list[str]] = {}
    for label, text in texts.items():
        kinds.setdefault(text, []).append(label)
    if len(kinds) == 1:
        return next(iter(kinds))
    most = max(kinds, key=lambda text: len(kinds[text]))
    told = [f"{text} ({', '.join(labels)})" for text, labels in kinds.items() if text != most or len(labels) < 3]
    return "; ".join([*told, *([f"{most} (all others)"] if len(kinds[most]) > 2 else [])])
