"""``kawhi plan``."""

from __future__ import annotations

import click

from kawhi.base.errors import CellError, sentence
from kawhi.commands.app import INCLUDE, app


@app.command(short_help="every cell of a command with its verl command line, time and state")
@click.argument(
    "overrides",
    nargs=-1,
    help="as for experiments/run.py, e.g. experiment=main_table scale=h200x8; several tables are planned together",
)
@INCLUDE
@click.option("--short", is_flag=True, help="without the command lines")
@click.option("--memory", is_flag=True, help="what each GPU must hold, part by part, instead of the cells")
@click.option("--power", is_flag=True, help="training seeds and GPU-hours for a verdict, instead of the cells")
def plan(overrides: tuple[str, ...], short: bool, memory: bool, power: bool) -> None:
    """Prints every cell of a command with its verl command line, time and state; starts nothing."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from kawhi.queue.site import use_folders
    from kawhi.runs.memory_view import print_memory
    from kawhi.runs.plan import print_plan
    from kawhi.runs.table_rows import TableError

    use_folders()
    try:
        if memory:
            print_memory(overrides)
        elif power:
            from kawhi.runs.power import print_power  # scipy takes a second

            print_power(overrides)
        else:
            print_plan(overrides, short=short)
    except (TableError, HydraException, OmegaConfBaseException) as error:
        raise CellError(sentence(error)) from error
