"""Where a sweep is: one line per cell, from the status files alone."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

_COLOURS = {"done": "green", "failed": "red", "stopped": "red", "waiting": "dim"}


@dataclass(frozen=True)
class CellView:
    """One row of the view.

    Attributes:
        label: what the cell is called in its table.
        path: its run directory.
    """

    label: str
    path: Path

    def status(self) -> dict[str, Any]:
        """Contents of ``status.json``; ``done`` as soon as there is a record; ``waiting`` before there is either."""
        if (self.path / "record.json").exists():
            return {"stage": "done"}
        try:
            return json.loads((self.path / "status.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {"stage": "waiting"}


def table(cells: list[CellView], *, running: set[int] | None = None, title: str = "") -> Table:
    """A rich table: cell, stage, step, reward, time left of the training stage.

    Args:
        running: indices of the cells being worked on; a status file of any other unfinished cell is an old one.
    """
    view = Table(title=title, title_justify="left", expand=False)
    # On a narrow terminal the name gives way, not what changes.
    for column, width in (("", 5), ("cell", None), ("stage", 8), ("step", 5), ("reward", 6), ("time left", 9)):
        view.add_column(column, no_wrap=width is not None, min_width=width, overflow="ellipsis")
    for i, cell in enumerate(cells):
        status = cell.status()
        stage = status["stage"]
        if running is not None and i not in running and stage not in _COLOURS:
            stage = "waiting"
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
    """Step, reward and time left of a cell that trains; empty for any other."""
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


class SweepView:
    """A live table on a terminal; elsewhere a line whenever a cell changes stage or every fifth step."""

    def __init__(self, cells: list[CellView], title: str):
        self.cells, self.title = cells, title
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=2) if self._console.is_terminal else None
        self._printed: dict[int, tuple] = {}
        self._start = time.time()

    def __enter__(self) -> SweepView:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_) -> None:
        if self._live:
            self.update(set())
            self._live.stop()

    def update(self, running: set[int]) -> None:
        """Draws the current state; ``running`` as in :func:`table`."""
        if self._live:
            minutes = (time.time() - self._start) / 60
            self._live.update(table(self.cells, running=running, title=f"{self.title}  ({minutes:.1f} min)"))
            return
        for i, cell in enumerate(self.cells):
            status = cell.status()
            key = (status["stage"], status.get("step", 0) // 5)
            if (i in running or status["stage"] in ("done", "failed")) and self._printed.get(i) != key:
                self._printed[i] = key
                step = f" step {status['step']}/{status['steps']}" if "step" in status else ""
                reward = f" reward {status['reward']:.3f}" if status.get("reward") is not None else ""
                print(
                    f"[{time.time() - self._start:5.0f} s] cell {i + 1}/{len(self.cells)} {cell.label}: "
                    f"{status['stage']}{step}{reward}",
                    flush=True,
                )
