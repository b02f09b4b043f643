"""A rehearsal of one cell or of several: what is substituted, how far it came, how long each stage took."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datasets import disable_progress_bars
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from transformers.utils import logging

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.rehearsal.real_model import require
from kawhi.rehearsal.rehearsed import compose, first_of, prepared
from kawhi.rehearsal.substitutions import Substituted
from kawhi.rehearsal.walk import Walk
from kawhi.runs.composing import labels

_MARK = "rehearsal.json"
_WIDTH = 160


def rehearse_cells(words: Sequence[str], out: Path, *, every: bool, real: str = "") -> None:
    """Rehearses the first training with KAWHI that the words ask for, or every one; prints as it goes.

    Args:
        real: the published model to train on rows of the published data set (:data:`kawhi.rehearsal.real_model.REAL`).

    Raises:
        CellError: the first fault, with its stage.
    """
    disable_progress_bars()
    logging.disable_progress_bar()
    cells, rows = compose(words, real)
    if real:
        require(real, cells[0].model.path, cells[0].model.revision)
    names = labels(cells)
    chosen = range(len(cells)) if every else [first_of(cells)]
    _clear(out)
    for number in chosen:
        folder = out / str(number)
        print(f"{names[number]}: {' '.join(rows[number])}", flush=True)
        asked = prepared(cells[number], rows[number], folder, real=bool(real))
        walk = Walk(asked, folder)
        try:
            walk.walk()
        finally:
            show_stages(names[number], walk.seconds)
            show_substituted(asked.substituted)
    print(f"rehearsed {len(chosen)} of {len(cells)} trainings; what they left is in {out}")


def _clear(out: Path) -> None:
    """Makes room for a rehearsal.

    Raises:
        CellError: the folder holds something else.
    """
    if out.exists() and any(out.iterdir()) and not (out / _MARK).exists():
        raise CellError(f"{out} holds something else than a rehearsal: name another folder with --out")
    shutil.rmtree(out, ignore_errors=True)
    write_json(out / _MARK, {"what": "everything here is a rehearsal's, and is removed by the next one"})


def show_stages(name: str, seconds: dict[str, float]) -> None:
    """Prints how long each stage took."""
    table = Table("stage", "seconds", title=escape(name), title_justify="left", box=SIMPLE)
    for stage, took in [*seconds.items(), ("all", sum(seconds.values()))]:
        table.add_row(stage, f"{took:.0f}")
    _console().print(table)


def show_substituted(found: Iterable[Substituted]) -> None:
    """Prints what was not as at full scale."""
    title = "Substitutions: everything else is as at full scale"
    columns = [Column(name, overflow="fold") for name in ("key", "full scale", "here", "why")]
    table = Table(*columns, title=title, title_justify="left", box=SIMPLE)
    for each in found:
        table.add_row(escape(each.key), _text(each.before), _text(each.after), escape(each.why))
    _console().print(table)


def _text(value: Any) -> str:
    return "–" if value is None else escape(" ".join(map(str, value)) if isinstance(value, list) else str(value))


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)
