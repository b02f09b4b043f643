"""``kawhi rescore``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kawhi.base.errors import CellError, sentence
from kawhi.commands.app import app, before_and_after


@app.command(short_help="the same responses and replies, today's rules: scores made anew without a model or a judge")
@click.argument("runs", nargs=-1, required=True, type=Path, help="run directories; `kawhi status` lists them")
def rescore(runs: tuple[Path, ...]) -> int:
    """Makes scores anew from the stored responses where their rules have changed; exit code 1 where that failed."""
    from kawhi.evaluation.results import open_run
    from kawhi.runs.rescore import Rescored, rescore

    failed = 0
    for run in runs:
        try:
            done = rescore(open_run(run))
        except (CellError, OSError) as error:
            done = Rescored(failures=[sentence(error)])
        before_and_after(done.scores)
        for text in done.failures:
            print(f"error: {run}: {text}", file=sys.stderr)
        if not done.failures and not done.scores:
            print(f"nothing to do: today's rules made the scores of {run}")
        elif done.scores:
            print(f"wrote {run}")
        failed += bool(done.failures)
    return 1 if failed else 0
