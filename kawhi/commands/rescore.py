"""``kawhi rescore``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kawhi.base.errors import CellError, sentence
from kawhi.commands.app import app, before_and_after

if TYPE_CHECKING:
    from kawhi.base.rundir import RunDirectory


@app.command(short_help="the same responses and replies, today's rules: scores made anew without a model or a judge")
@click.argument(
    "runs", nargs=-1, required=True, type=Path, help="run directories, or evaluations in their folders eval"
)
def rescore(runs: tuple[Path, ...]) -> int:
    """Makes scores anew from the stored responses where their rules have changed; exit code 1 where that failed."""
    from kawhi.evaluation.results import open_evaluations

    failed = 0
    for run in runs:
        try:
            evaluations = open_evaluations(run)
            with evaluations[0].evaluated.locked():
                failed += sum(not _mended(each) for each in evaluations)
        except (CellError, OSError) as error:
            print(f"error: {run}: {sentence(error)}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def _mended(evaluation: RunDirectory) -> bool:
    """Whether an evaluation has a score by today's rules now; says what became of it."""
    from kawhi.runs.rescore import outdated, rescore

    try:
        if not outdated(evaluation):
            print(f"nothing to do: today's rules made the score of {evaluation.path}")
            return True
        before_and_after({evaluation.task: rescore(evaluation)})
    except (CellError, OSError) as error:
        print(f"error: {evaluation.path}: {sentence(error)}", file=sys.stderr)
        return False
    print(f"wrote {evaluation.path}")
    return True
