"""``kawhi status``: a table of all cells of an experiment, and what became of those that failed."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from kawhi.runs.hints import where_to_look
from kawhi.runs.survey import STATES, CellState, Survey, count, last_lines, survey
from kawhi.runs.views import progress_of

REFRESH_SECONDS = 5
_COLOURS = {
    "done": "green",
    "running": "cyan",
    "queued": "yellow",
    "trained": "blue",
    "waiting": "dim",
    "stopped": "red",
    "failed": "red",
    "lost": "red",
}
_BROKEN = ("failed", "lost", "stopped")
_DETAILS = 20  # a sweep of which everything failed must not scroll its table away
_PROGRESS = ("step", "reward", "left")
_UNCUT = 10_000  # columns of a pipe, which has no width to fit into


def print_status(runs: Path, experiment: str = "*", *, failed: bool = False, watch: bool = False) -> int:
    """``kawhi status``; returns 0, or 1 when what was named has no runs.

    Args:
        runs: ``paths.runs``.
        experiment: a folder's name, or a pattern.
        failed: only the cells that failed, were stopped or lost.
        watch: draw again every few seconds until Ctrl-C.
    """
    seen = survey(runs, experiment)
    if not seen.cells:
        return _nothing(runs, experiment)
    console = Console(highlight=False)
    if watch:
        return _watch(console, runs, experiment, failed)
    width = console.width if console.is_terminal else None
    console.width = width or _UNCUT
    for name, cells in seen.cells.items():
        if chosen := _chosen(cells, failed):
            console.print(Text(str(runs / name), style="bold"), soft_wrap=True)
            console.print(table(chosen, width), "")
    done = [cell.path for cells in seen.cells.values() for cell in cells if cell.state == "done"]
    hints = [] if failed else where_to_look(done, status=False)
    lines = [*summary(seen), *details(seen, everything=failed), *hints]
    console.print(*map(Text, lines), sep="\n", soft_wrap=True)
    return 0


def _nothing(runs: Path, experiment: str) -> int:
    """Says what to type in a new checkout, and what there is where another name was typed."""
    there = sorted(survey(runs, "*").cells)
    if experiment == "*":
        print(f"no runs in {runs} yet: `make demo` makes the first five, `kawhi-run` one")
        return 0
    known = f"; there are {', '.join(there)}" if there else ""
    print(f"no runs in {runs / experiment}{known}", file=sys.stderr)
    return 1


def _watch(console: Console, runs: Path, experiment: str, failed: bool) -> int:
    if not console.is_terminal:
        print("error: --watch draws on a terminal; without it the table is printed once", file=sys.stderr)
        return 1
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(frame(survey(runs, experiment), console.width, console.height, failed), refresh=True)
                time.sleep(REFRESH_SECONDS)
    except KeyboardInterrupt:
        return 0


def frame(seen: Survey, width: int, height: int, failed: bool = False) -> Group:
    """What fits a terminal: the most urgent cells, how many others there are, and the summary."""
    every = _chosen((cell for cells in seen.cells.values() for cell in cells), failed)
    every.sort(key=lambda cell: STATES.index(cell.state))
    below = [*summary(seen), time.strftime(f"%H:%M:%S, every {REFRESH_SECONDS} s, Ctrl-C ends")]
    taken = sum(1 + len(line) // width for line in below)
    room = max(1, height - taken - 4)
    more = [f"and {len(every) - room} more"] if len(every) > room else []
    shown = table(every[:room], width, experiments=len(seen.cells) > 1)
    return Group(shown, *map(Text, [*more, "", *below]))


def _chosen(cells: Iterable[CellState], failed: bool) -> list[CellState]:
    return [cell for cell in cells if not failed or cell.state in _BROKEN]


def table(cells: Sequence[CellState], width: int | None = None, *, experiments: bool = False) -> Table:
    """A line for the head and one for each cell; columns that no cell fills are left out.

    Args:
        width: columns of the terminal; names and notes give way, not what changes.  ``None`` shows everything.
        experiments: whether a name says its experiment, too.
    """
    half = _UNCUT if width is None else width // 2
    names = [cell.path.name for cell in cells]
    if _longest(names) > half:
        names = short_names(names)
    if experiments:
        names = [f"{cell.path.parent.name}/{name}" for cell, name in zip(cells, names, strict=True)]
    progress = [progress_of(cell.status if cell.state == "running" else {}) for cell in cells]
    filled = [i for i in range(len(_PROGRESS)) if any(row[i] for row in progress)]
    # As long as names take less than half of the width, the notes alone give way.
    first, second = Column("cell", no_wrap=_longest(names) <= half), Column("state", no_wrap=True)
    view = Table(first, second, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i in filled:
        view.add_column(_PROGRESS[i], no_wrap=True, justify="right")
    view.add_column("")
    for cell, name, row in zip(cells, names, progress, strict=True):
        state = Text(cell.shown, style=_COLOURS[cell.state])
        view.add_row(_one_line(name), state, *(row[i] for i in filled), _one_line(without_log(cell.note)))
    return view


def _longest(names: Iterable[str]) -> int:
    return max(map(len, names), default=0)


def _one_line(text: str) -> Text:
    """Cut where the terminal is too narrow; not wrapped, so that a cell is one line."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def without_log(note: str) -> str:
    """The log is named below the table, where there is room."""
    return re.sub(r" \(log: .+?\)", "", note)


def short_names(names: Sequence[str]) -> list[str]:
    """Names without their hashes and without the parts that all have; unchanged where that would make two equal."""
    parts = [name.rpartition("-")[0].split("_") for name in names]
    common = set.intersection(*map(set, parts)) if len(parts) > 1 else set()
    short = ["_".join(part for part in own if part not in common) or "_".join(own) for own in parts]
    return short if len(set(short)) == len(names) else list(names)


def summary(seen: Survey) -> list[str]:
    """How many cells are in which state, what tables wait, and whether Slurm was heard."""
    every = [cell for cells in seen.cells.values() for cell in cells]
    told = ", ".join(f"{number} {state}" for state, number in count(every))
    hours = sum(cell.device_hours for cell in every)
    lines = [told + (f"; done took {hours:.1f} device-hours" if hours else "")]
    for task in seen.tables:
        waits = f"waits: {task.reason}" if task.state == "PENDING" else task.state.lower()
        lines.append(f"table: job {task.job_id} {waits}")
    if seen.complaint:
        lines.append(f"from files alone: {seen.complaint}")
    return lines


def details(seen: Survey, *, everything: bool = False) -> list[str]:
    """Name, reason, log and its last lines of each cell that did not get through.

    Args:
        everything: all of them, and those that somebody stopped.
    """
    states = _BROKEN if everything else ("failed", "lost")
    broken = [cell for cells in seen.cells.values() for cell in cells if cell.state in states]
    shown = broken if everything else broken[:_DETAILS]
    lines = []
    for cell in shown:
        lines += ["", f"{cell.path.name}: {without_log(cell.note)}"]
        if cell.log:
            lines += [f"  {cell.log}", *(f"    {line}" for line in last_lines(cell.log))]
    if len(broken) > len(shown):
        lines += ["", f"and {len(broken) - len(shown)} more: kawhi status --failed"]
    return lines
