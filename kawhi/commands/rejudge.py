"""``kawhi rejudge``."""

from __future__ import annotations

from pathlib import Path

import click

from kawhi.commands.app import RUN, ListOptions, app, before_and_after


@app.command(cls=ListOptions, short_help="the same responses, another judge, another run directory")
@RUN
@click.option(
    "--judge",
    required=True,
    multiple=True,
    metavar="NAME [KEY=VALUE ...]",
    help="a file of conf/judge, and perhaps other values of its settings",
)
def rejudge(run: Path, judge: tuple[str, ...]) -> None:
    """Judges the responses of a run by another judge, in another run directory."""
    from kawhi.base.checkout import configuration_folder
    from kawhi.evaluation.results import open_run
    from kawhi.runs.rejudge import judge_config, judge_overrides, rejudge

    responses, (name, *settings) = open_run(run), judge
    block = judge_config(configuration_folder(), name, settings)
    done = rejudge(responses, block, judge_overrides(name, settings))
    if done.already:
        print(f"nothing to do: this judge's verdicts on these responses are in {done.run.path}")
        return
    before_and_after(done.scores)
    print(f"wrote {done.run.path}")
