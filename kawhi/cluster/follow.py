"""``hydra.launcher.wait=true``: the cells of a sweep, until none of them is in Slurm's queue."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kawhi.cluster import slurm, submission
from kawhi.runs.identity import CellError
from kawhi.runs.views import CellView, SweepView

_POLL_SECONDS = 2.0


def until_ended(cells: Sequence[tuple[str, Path]], runs: Path, title: str) -> int:
    """Shows labels and run directories; returns 0 when every cell has its record, else 1.

    Ctrl-C leaves the jobs alone.
    """
    views = [CellView(label, path) for label, path in cells]
    try:
        with SweepView(views, title) as shown:
            while True:
                try:
                    busy = {path for path, _ in submission.at_work(runs, slurm.queue())}
                except CellError:  # a controller that is started anew; the jobs do not mind
                    time.sleep(_POLL_SECONDS)
                    continue
                shown.update({i for i, (_, path) in enumerate(cells) if path in busy})
                if not any(path in busy for _, path in cells):
                    break
                time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        print("the jobs stay queued; kawhi status shows them", file=sys.stderr)
        return 130
    missing = [view for view in views if view.status()["stage"] != "done"]
    for view in missing:
        print(f"not done: {view.label}: {view.status().get('reason', 'no reason given')}", file=sys.stderr)
    return 1 if missing else 0
