"""Where a sweep is: one line per cell, from the status files alone."""

from __future__ import annotations

import heapq
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.box import HEAVY_HEAD, Box
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from kawhi.runs.hints import where_to_look

if TYPE_CHECKING:  # `kawhi status` is typed often and needs neither benchmarks nor pictures
    from kawhi.runs.cell_folders import Place

TABLE_SECONDS = 30
"""Between two tables in a pipe, in the first ten minutes of a sweep; later a twentieth of what it has taken so far."""
ROWS = 12
"""Of a table in a pipe; of more cells only those being worked on are shown."""
_PIPE_WIDTH = 100
_COLOURS = {"done": "green", "failed": "red", "stopped": "red", "waiting": "dim"}


@dataclass(frozen=True)
class CellView:
    """One row of the view.

    Attributes:
        label: what the cell is called in its table.
        place: its folders.
    """

    label: str
    place: Place

    @property
    def path(self) -> Path:
        return self.place.run.path

    def status(self) -> dict[str, Any]:
        """Contents of ``status.json``; ``done`` when all records are there, ``waiting`` before there is either."""
        if self.place.done:
            return {"stage": "done"}
        try:
            said = json.loads((self.path / "status.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {"stage": "waiting"}
        return {"stage": "waiting"} if said["stage"] == "done" else said  # what was asked for before this is


def seconds_of(path: Path) -> float:
    """What the finished stages of a run directory took."""
    markers = [*path.glob("stages/*.json"), *path.glob("eval/*/stages/*.json")]
    return sum(json.loads(marker.read_text())["seconds"] for marker in markers)


def _stage(status: dict[str, Any], working: bool) -> str:
    """The stage to show: what an unfinished cell says that nobody works on is old."""
    stage = status["stage"]
    if working:
        return "starting" if stage == "waiting" else stage
    return stage if stage in _COLOURS else "waiting"


def table(
    cells: list[CellView],
    *,
    running: set[int] | None = None,
    title: str = "",
    only: set[int] | None = None,
    box: Box | None = HEAVY_HEAD,
) -> Table:
    """A rich table: cell, stage, step, reward, time left of the training stage.

    Args:
        running: indices of the cells being worked on; all by default.
        only: indices of the cells to show; all by default.
        box: lines between the cells of the table.
    """
    view = Table(title=title, title_justify="left", expand=False, box=box)
    # On a narrow terminal the name gives way, not what changes.
    for column, width in (("", 5), ("cell", None), ("stage", 8), ("step", 5), ("reward", 6), ("time left", 9)):
        view.add_column(column, no_wrap=width is not None, min_width=width, overflow="ellipsis")
    for i, cell in enumerate(cells):
        if only is not None and i not in only:
            continue
        status = cell.status()
        stage = status["stage"] if running is None else _stage(status, i in running)
        step, reward, left = progress_of({**status, "stage": stage})
        shown = f"{stage}: {status['reason']}"[:100] if stage == "failed" else stage
        colour = _COLOURS.get(stage, "cyan")
        view.add_row(
            f"{i + 1}/{len(cells)}",
            escape(cell.label),
            f"[{colour}]{escape(shown)}[/]",
            step,
            reward,
            left,
        )
    return view


def progress_of(status: dict[str, Any]) -> tuple[str, str, str]:
    """Step, reward and time left of a cell that trains, the rows that are checked of one that prepares; else empty."""
    if status.get("stage") == "prepare" and "checked" in status:
        return f"{status['checked']}/{status['rows']}", "", ""
    if status.get("stage") != "train" or "step" not in status:
        return "", "", ""
    reward = f"{status['reward']:.3f}" if status.get("reward") is not None else ""
    return f"{status['step']}/{status['steps']}", reward, _left(status)


def _left(status: dict[str, Any]) -> str:
    """Remaining training time from the mean time of a step, the start-up before the first one left out."""
    done = status["step"] - status["first_step"]
    if done < 1:
        return "..."
    seconds = (status["time"] - status["first_time"]) / done * (status["steps"] - status["step"])
    return f"{seconds / 60:.1f} min"


def _progress(status: dict[str, Any]) -> str:
    """As part of a line, whatever the stage is."""
    step = f" step {status['step']}/{status['steps']}" if "step" in status else ""
    return step + (f" reward {status['reward']:.3f}" if status.get("reward") is not None else "")


class SweepView:
    """A live table on a terminal; elsewhere a line whenever a cell changes stage, and now and then the table."""

    def __init__(self, cells: list[CellView], title: str):
        self.cells, self.title = cells, title
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=2) if self._console.is_terminal else None
        self._printed: dict[int, str] = {}
        self._rows: list[str] = []
        self._start = self._drawn = time.time()
        self._missing = {cell.path for cell in cells if cell.status()["stage"] != "done"}
        self._began: dict[Path, float] = {}  # a cell that goes on began so much earlier
        self._took: dict[Path, float] = {}

    def __enter__(self) -> SweepView:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        if self._live:
            self.update(set())
            self._live.stop()
        elif kind is None:
            self._draw(set())
        done = {cell.path for cell in self.cells if cell.path in self._missing and cell.place.done}
        if kind is None and (lines := where_to_look(done)):
            print("\n".join(lines), flush=True)

    def update(self, running: set[int]) -> None:
        """Draws the current state; ``running`` as in :func:`table`."""
        now = time.time()
        for path in {self.cells[i].path for i in running} - self._began.keys():
            self._began[path] = now - seconds_of(path)
        if self._live:
            minutes = (now - self._start) / 60
            title = f"{self.title}  ({minutes:.1f} min{self._left(running)})"
            self._live.update(table(self.cells, running=running, title=title))
            return
        for i, cell in enumerate(self.cells):
            status = cell.status()
            stage = _stage(status, i in running)
            if (i in running or stage in ("done", "failed")) and self._printed.get(i) != stage:
                self._printed[i] = stage
                told = f"{stage}{_progress(status)}"
                print(f"{self._clock()} cell {i + 1}/{len(self.cells)} {cell.label}: {told}", flush=True)
        if now - self._drawn >= max(TABLE_SECONDS, (now - self._start) / 20):
            self._draw(running)

    def _clock(self) -> str:
        return f"[{time.time() - self._start:5.0f} s]"

    def _draw(self, running: set[int]) -> None:
        """The table as a log can hold it, under a line that counts the cells."""
        self._drawn = time.time()
        states = [_stage(cell.status(), i in running) for i, cell in enumerate(self.cells)]
        counts = Counter(state if state in _COLOURS else "running" for state in states)
        order = ("done", "running", "waiting", *(state for state in ("stopped", "failed") if counts[state]))
        told = ", ".join(f"{counts[state]} {state}" for state in order)
        head = f"{self._clock()} {self.title}: {told}{self._left(running)}"
        only = running if len(self.cells) > ROWS else None
        pipe = Console(width=_PIPE_WIDTH, highlight=False)
        with pipe.capture() as drawn:
            pipe.print(table(self.cells, running=running, only=only, box=None))
        rows = [line.rstrip() for line in drawn.get().splitlines()]
        if rows == self._rows:  # nothing moved but the time
            print(head, flush=True)
        else:
            print(head, *rows, "", sep="\n", flush=True)
        self._rows = rows

    def _left(self, running: set[int]) -> str:
        """The time left of the sweep, if the other cells take what the finished ones took, as many at once as now."""
        done = {cell.path for cell in self.cells if cell.status()["stage"] == "done"}
        self._took |= {path: seconds_of(path) for path in done - self._took.keys()}
        took = [seconds for seconds in self._took.values() if seconds]
        lanes = [time.time() - self._began[path] for path in {self.cells[i].path for i in running} - done]
        if not took or not lanes:
            return ""
        lanes = [max(0.0, fmean(took) - spent) for spent in lanes]
        heapq.heapify(lanes)
        for _ in self._missing - done - self._began.keys():
            heapq.heapreplace(lanes, lanes[0] + fmean(took))
        return f", about {max(lanes) / 60:.1f} min left"
