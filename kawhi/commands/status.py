"""``kawhi status``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from kawhi.commands.app import app


@app.command(short_help="where the runs of an experiment are")
@click.argument("experiment", default="*", help="folder name under the runs; default: all")
@click.option("--runs", type=Path, help="paths.runs (default: KAWHI_RUNS, the site's, or results/runs)")
@click.option("--watch", is_flag=True, help="draw it again every 5 s until Ctrl-C")
@click.option("--failed", is_flag=True, help="only cells that failed, all of them with their logs")
def status(experiment: str, runs: Path | None, watch: bool, failed: bool) -> int:
    """Shows where every cell is, and what became of those that failed."""
    from kawhi.queue.site import use_folders
    from kawhi.runs.status import print_status

    use_folders()
    runs = runs or Path(os.environ.get("KAWHI_RUNS", "results/runs"))
    return print_status(runs, experiment, failed=failed, watch=watch)
