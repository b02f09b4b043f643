"""``kawhi rejudge``."""

from __future__ import annotations

from pathlib import Path

import click

from kawhi.commands.app import RUN, ListOptions, app, before_and_after


@app.command(cls=ListOptions, short_help="the same responses, another judge, another evaluation beside the first")
@RUN
@click.option(
    "--judge",
    required=True,
    multiple=True,
    metavar="NAME [KEY=VALUE ...]",
    help="a file of conf/judge, and perhaps other values of its settings",
)
def rejudge(run: Path, judge: tuple[str, ...]) -> None:
    """Judges the responses of a run, or of one evaluation, by another judge: another evaluation beside the first."""
    from kawhi.base.checkout import configuration_folder
    from kawhi.evaluation.responses_again import with_own_responses
    from kawhi.runs.rejudge import judge_config, judge_overrides, rejudge

    evaluations = with_own_responses(run)
    name, *settings = judge
    block = judge_config(configuration_folder(), name, settings)
    done = rejudge(evaluations, block, judge_overrides(name, settings))
    folders = ", ".join(str(each.path) for each in done.evaluations)
    if done.already:
        print(f"nothing to do: this judge's verdicts on these responses are in {folders}")
        return
    before_and_after(done.scores)
    print(f"wrote {folders}")
