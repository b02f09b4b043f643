"""``kawhi judge-agreement``."""

from __future__ import annotations

from pathlib import Path

import click

from kawhi.base.errors import CellError
from kawhi.commands.app import app


@app.command(short_help="how far two judges agree on the same responses, and where they do not")
@click.argument("first", type=Path, metavar="RUN_A")
@click.argument("second", type=Path, metavar="RUN_B", help="RUN_A judged again, see `kawhi rejudge`")
@click.option("--show", type=int, default=10, metavar="N", help="disagreements to show of each benchmark (default: 10)")
def judge_agreement(first: Path, second: Path, show: int) -> None:
    """Says how far two judges agree on the same responses, and where they do not."""
    from kawhi.evaluation.agreement_view import compare, print_comparison
    from kawhi.evaluation.results import open_run

    if show < 0:
        raise CellError("--show takes a whole number of at least 0")
    print_comparison(compare(open_run(first), open_run(second)), show)
