"""docs/bends.md as data: its rows, by library."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.cells import ROOT

PAGE = ROOT / "docs" / "bends.md"


@dataclass(frozen=True)
class Row:
    """One row of the page: whole names, files of ours, and tests (``file`` or ``file::function``)."""

    library: str
    names: tuple[str, ...]
    files: tuple[str, ...]
    tests: tuple[str, ...]


def rows() -> list[Row]:
    found, library = [], ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            library = line.removeprefix("## ")
        if line.startswith("| `"):
            names, files, _, tests = (re.findall(r"`([^`]+)`", cell) for cell in line.strip("| ").split(" | "))
            found.append(Row(library, tuple(whole(names)), tuple(files), tuple(tests)))
    return found


def whole(names: list[str]) -> list[str]:
    """``.other`` stands for another one of the module or class of the name before it."""
    found: list[str] = []
    for name in names:
        found.append(found[-1].rpartition(".")[0] + name if name.startswith(".") else name)
    return found
