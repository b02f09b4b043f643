"""``kawhi bench credit``: arguments in, a table and its files out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from kawhi.commands.app import INCLUDE, app

HELP = """\
Trains a tiny model with every credit method from the same prompts and noise, and says which reads better for it.

\b
  kawhi bench credit                                          # all methods of conf/lab/bench.yaml, and the probe
  kawhi bench credit --methods kawhi,kawhi:temperature=0.02 --seeds 3
  kawhi bench credit --include my_method.py --methods mine    # a method of one's own; docs/bench.md
  kawhi bench credit --through verl --seeds 3                 # the same trainings by verl and vLLM, minutes each

What is finished is a file, so that the same command goes on where it was stopped and adds what is new.
"""


@app.group(short_help="credit methods beside each other, with controls, in minutes")
def bench() -> None:
    """Benches that can say no: each has controls that must come out above and below."""


@bench.command("credit", help=HELP, short_help="train and compare credit methods in the reading world")
@click.option("--study", type=Path, help="a YAML file like conf/lab/bench.yaml (default: that one)")
@click.option("--methods", metavar="A,B:OPTION=VALUE", multiple=True, help="these instead of all rows of the study")
@click.option("--family", multiple=True, help="qwen2_5_vl (default), qwen3_vl; again for both")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="paired trainings of each method")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="processes side by side")
@click.option("--difficulty", type=click.Choice(["plain", "long"]), help="of the answers (default: the study's)")
@click.option("--algorithm", help="a file of conf/algorithm (default: the study's)")
@INCLUDE
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="an override of conf/run.yaml for all")
@click.option("--through", type=click.Choice(["lab", "verl"]), default="lab", show_default=True, help="who trains")
@click.option(
    "--probe/--no-probe", default=True, show_default=True, help="the lab's gradient probe before the training"
)
@click.option("--out", type=Path, default=Path("results/lab"), show_default=True, help="where results go")
def credit(
    study: Path | None,
    methods: tuple[str, ...],
    family: tuple[str, ...],
    seeds: int,
    jobs: int,
    difficulty: str | None,
    algorithm: str | None,
    overrides: tuple[str, ...],
    through: str,
    probe: bool,
    out: Path,
) -> None:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from kawhi.lab.probing import ADAM, PROMPTS, SHARE, probe_study, write_probe
    from kawhi.lab.run_files import Run, make, planned, try_own
    from kawhi.lab.study import chosen
    from kawhi.lab.study_report import write
    from kawhi.lab.through_verl import make_through_verl

    if through == "verl":
        out, probe = out / "verl", False  # the probe asks the policy that all start from, whoever trains it
        print(f"where each training is: kawhi status --runs {out}/cells/runs", flush=True)
    asked = chosen(study, methods, algorithm=algorithm, difficulty=difficulty, overrides=overrides)
    families = family or ("qwen2_5_vl",)
    runs = planned(asked, families, range(asked.first_seed, asked.first_seed + seeds), out)
    try_own(runs)
    probed = {}
    for each in families if probe else ():
        with Progress() as progress:
            bar = progress.add_task(f"probe of {each}", total=PROMPTS)
            found = probe_study(asked, each, PROMPTS, SHARE, partial(progress.advance, bar), jobs=jobs)
        write_probe(found, f"{each}, {asked.algorithm}", out)
        probed[each, asked.algorithm] = {label: found.said(ADAM, own.adam) for label, own in found.methods.items()}
    there = {run.file for run in runs if run.done}
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, TimeRemainingColumn()) as progress:
        bar = progress.add_task("trainings", total=len(runs))

        def told(run: Run) -> None:
            what = f"{run.row.label}, seed {run.schedule.seed}"
            progress.update(bar, advance=1, description=what)
            if not progress.console.is_terminal:
                kept = " (was there)" if run.file in there else ""
                finished = f"{progress.tasks[0].completed:.0f}/{len(runs)}"
                print(f"{finished} {run.family} {run.algorithm} {what}{kept}", flush=True)

        if through == "verl":
            make_through_verl(runs, jobs, told, out / "cells")
        else:
            make(runs, jobs, told)
    print(write(runs, out, asked.pairs, probed))
    print(f"wrote {out}/table.md, table.csv, table.json, gains-*.png, curves-*.png and {out}/runs")
