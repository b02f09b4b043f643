"""``kawhi clean``."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kawhi.base.errors import CellError, sentence
from kawhi.commands.app import app

if TYPE_CHECKING:
    from kawhi.base.rundir import RunDirectory


@app.command(short_help="free the disk of what finished cells no longer need")
@click.argument("runs", nargs=-1, type=Path, help="run directories (default: all)")
@click.option("--dry-run", is_flag=True, help="say how much of what it would be; remove nothing")
def clean(runs: tuple[Path, ...], dry_run: bool) -> int:
    """Removes from finished cells what the block `keep` of their configuration does not name.

    A cell does so by itself when it ends; this finds cells of earlier versions, and what was set aside or left over.
    Cells that are not finished, or that somebody works on, are left alone; so are records, samples, metrics and logs.
    """
    from kawhi.base.rundir import RunDirectory
    from kawhi.queue.site import use_folders
    from kawhi.runs.disk import amount
    from kawhi.runs.survey import done

    use_folders()
    below = Path(os.environ.get("KAWHI_RUNS", "results/runs"))
    named = runs or tuple(config.parent for config in sorted(below.glob("[!.]*/*/config.yaml")))
    found = [RunDirectory(run.resolve()) for run in named]
    finished = [run for run in found if done(run)]
    freed = sum((_freed(run, dry_run) for run in finished), Counter[str]())
    says = "would free" if dry_run else "freed"
    print(f"{says} {amount(freed.total())} of {len(finished)} finished cells; {len(found) - len(finished)} left alone")
    unfinished = [run.path for run in found if run not in finished] if runs else []
    for path in unfinished:
        print(f"error: {path} is not finished, so nothing of it is removed", file=sys.stderr)
    return 1 if unfinished else 0


def _freed(run: RunDirectory, dry: bool) -> Counter[str]:
    """Bytes by what they are of, after a line that says so."""
    from kawhi.runs.disk import free, told

    if not run.record.exists():  # of an untrained model, which leaves nothing but its evaluations
        return Counter()
    try:
        with run.locked():
            freed = free(run, dry=dry)
    except (CellError, OSError) as error:
        print(f"left alone {run.path}: {sentence(error)}", file=sys.stderr)
        return Counter()
    if freed.total():
        print(f"{run.path}: {told(freed)}")
    return freed
