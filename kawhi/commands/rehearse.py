"""``kawhi rehearse``: words in, stages and substitutions out."""

from __future__ import annotations

from pathlib import Path

import click

from kawhi.base.errors import CellError, sentence
from kawhi.commands.app import INCLUDE, app

HELP = """\
Walks a full-scale cell end to end in minutes, with stand-ins for what is missing here, and lists each of them.

\b
  kawhi rehearse                                       # table 1, GRPO + KAWHI, at scale=h200x8
  kawhi rehearse algorithm=dapo model=qwen3_vl_4b      # another of its cells
  kawhi rehearse experiment=tor_main --each            # all trainings of another table, one after another
  kawhi rehearse experiment=null model=qwen3_vl_4b data=geo3k benchmarks=math credit=vppo   # a cell of no table
"""


@app.command(help=HELP, short_help="walk a full-scale cell end to end in minutes, with stand-ins for what is missing")
@click.argument("overrides", nargs=-1, metavar="[WORD ...]", help="as for experiments/run.py")
@INCLUDE
@click.option("--each", is_flag=True, help="every training that the words ask for (default: the first with KAWHI)")
@click.option(
    "--real",
    type=click.Choice(["3b"]),
    help="the published Qwen2.5-VL-3B and 16 rows of the data set; needs hub and GPU",
)
@click.option(
    "--out",
    type=Path,
    default=Path("results/rehearsal"),
    metavar="FOLDER",
    help="where to write; an earlier rehearsal there is removed (default: results/rehearsal)",
)
def rehearse(overrides: tuple[str, ...], each: bool, real: str | None, out: Path) -> None:
    from kawhi.wheels import torchvision_shim

    torchvision_shim.install()  # before transformers is imported
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from kawhi.rehearsal.rehearse import rehearse_cells
    from kawhi.runs.table_rows import TableError

    try:
        rehearse_cells(overrides, out.resolve(), every=each, real=real or "")
    except (TableError, HydraException, OmegaConfBaseException) as error:
        raise CellError(sentence(error)) from error
