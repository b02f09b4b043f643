"""``kawhi accept``."""

from __future__ import annotations

from pathlib import Path

import click

from kawhi.commands.app import RUN, app


@app.command(short_help="go on from the checkpoints of a run that failed a health check, and say why in its record")
@RUN
@click.option("--why", required=True, metavar="TEXT", help="why the run can be trusted; its record repeats it")
def accept(run: Path, why: str) -> None:
    """Puts back the checkpoints that were set aside when a health check failed; the run's command then goes on.

    What was found up to then is accepted, and nothing that comes later.  The record has the reason, and each table with
    the run repeats it in a note.
    """
    from kawhi.base.rundir import RunDirectory
    from kawhi.runs.set_aside import accept

    run_directory = RunDirectory(run.resolve())
    step = accept(run_directory, why)
    print(f"accepted: training goes on after step {step} with the command of the run")
    if command := run_directory.command():
        print(f"  {command}")
