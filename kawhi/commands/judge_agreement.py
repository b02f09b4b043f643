"""``kawhi judge-agreement``."""

from __future__ import annotations

from pathlib import Path

import click

from kawhi.base.errors import CellError
from kawhi.commands.app import app


@app.command(short_help="how far two judges agree on the same responses, and where they do not")
@click.argument("first", type=Path, metavar="A", help="a run directory, or one evaluation in its folder eval")
@click.argument("second", type=Path, metavar="B", help="the same responses judged again, see `kawhi rejudge`")
@click.option("--show", type=int, default=10, metavar="N", help="disagreements to show of each benchmark (default: 10)")
def judge_agreement(first: Path, second: Path, show: int) -> None:
    """Says how far two judges agree on the same responses, and where they do not."""
    from kawhi.evaluation.agreement_view import compare, print_comparison
    from kawhi.evaluation.results import by_task

    if show < 0:
        raise CellError("--show takes a whole number of at least 0")
    print_comparison(compare(by_task(first), by_task(second)), show)
