"""``hydra.launcher.wait=true``: the cells of a sweep, until none of them is in Slurm's queue."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kawhi.base.errors import CellError
from kawhi.queue import slurm, submission
from kawhi.runs.views import CellView, SweepView

_POLL_SECONDS = 2.0


def until_ended(views: Sequence[CellView], runs: Path, title: str, table: Path | None = None) -> int:
    """Shows cells; returns 0 when every cell has its record and the table is made, else 1.

    Ctrl-C leaves the jobs alone.

    Args:
        table: the stamp that a finished table leaves; ``None`` when there is to be none.
    """
    try:
        with SweepView([*views], title) as shown:
            while True:
                busy, waits = _in_queue(views, runs, table is not None)
                shown.update({i for i, view in enumerate(views) if view.path in busy})
                if not waits:
                    break
                time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        print("the jobs stay queued; kawhi status shows them", file=sys.stderr)
        return 130
    return _verdict(views, title, table)


def _verdict(views: Sequence[CellView], title: str, table: Path | None) -> int:
    missing = [view for view in views if view.status()["stage"] != "done"]
    for view in missing:
        print(f"not done: {view.label}: {view.status().get('reason', 'no reason given')}", file=sys.stderr)
    if not missing and table and not table.exists():
        print(f"the table was not made: kawhi status {title} and the logs of its job say why", file=sys.stderr)
        return 1
    return 1 if missing else 0


def _in_queue(views: Sequence[CellView], runs: Path, table: bool) -> tuple[set[Path], bool]:
    """Run directories that are in the queue; whether one of them is, or, if there is to be one, the cells' table."""
    while True:
        try:
            queue = slurm.queue()
            break
        except CellError:  # a controller that is started anew; the jobs do not mind
            time.sleep(_POLL_SECONDS)
    busy = {view.path for view in views} & {path for path, _ in submission.at_work(runs, queue)}
    tables = [its for _, its in submission.tables_at_work(runs, queue)] if table else []
    return busy, bool(busy) or {folder for view in views for folder in view.place.folders} in tables
