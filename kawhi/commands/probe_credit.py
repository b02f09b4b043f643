"""``kawhi probe credit``: arguments in, tables out."""

from __future__ import annotations

from pathlib import Path

import click

from kawhi.commands.app import INCLUDE
from kawhi.commands.probe import probe

HELP = """\
Where the gradient's signal lies, and what each credit method would gain a step, without training.

\b
  kawhi probe credit                                      # the methods of conf/lab/bench.yaml, in the reading world
  kawhi probe credit --methods kawhi,kawhi:temperature=0.02 --prompts 400
  kawhi probe credit --model CHECKPOINT --rollouts judged.jsonl     # a real model; docs/bench.md
"""


@probe.command("credit", help=HELP, short_help="which paragraphs carry the signal, and what each method would gain")
@click.option("--study", type=Path, help="a YAML file like conf/lab/bench.yaml (default: that one)")
@click.option("--methods", metavar="A,B:OPTION=VALUE", multiple=True, help="these instead of the study's rows")
@click.option("--family", default="qwen2_5_vl", show_default=True, help="of the study's models")
@click.option("--difficulty", type=click.Choice(["plain", "long"]), help="of the answers (default: the study's)")
@click.option("--algorithm", help="a file of conf/algorithm (default: the study's)")
@INCLUDE
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="an override of conf/run.yaml for all")
@click.option("--prompts", type=click.IntRange(3), default=300, show_default=True, help="of the drawn world")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="steps of prompts side by side")
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), default=0.05, show_default=True, help="of weights")
@click.option("--model", help="a checkpoint of one's own, with --rollouts")
@click.option("--rollouts", type=Path, help="judged responses, one prompt a line: docs/bench.md")
@click.option("--device", help="of torch, with --model (default: cuda where there is one, else cpu)")
@click.option("--out", type=Path, default=Path("results/lab"), show_default=True, help="where results go")
def credit(
    study: Path | None,
    methods: tuple[str, ...],
    family: str,
    difficulty: str | None,
    algorithm: str | None,
    overrides: tuple[str, ...],
    prompts: int,
    jobs: int,
    share: float,
    model: str | None,
    rollouts: Path | None,
    device: str | None,
    out: Path,
) -> None:
    from rich.progress import Progress

    from kawhi.base.errors import CellError
    from kawhi.lab.probing import probe_study, write_probe
    from kawhi.lab.study import chosen

    if (model is None) != (rollouts is None):
        raise CellError("--model and --rollouts belong together: whose responses were judged, and the judgements")
    asked = chosen(study, methods, algorithm=algorithm, difficulty=difficulty, overrides=overrides)
    with Progress() as progress:
        bar = progress.add_task("prompts", total=None if rollouts else prompts)

        def told(count: int) -> None:
            progress.update(bar, advance=count)

        if model is not None and rollouts is not None:
            from kawhi.lab.judged import probe_judged

            what = Path(model).name
            found = probe_judged(asked, family, model, rollouts, share, device, told)
        else:
            what = f"{family}, {asked.algorithm}"
            found = probe_study(asked, family, prompts, share, told, jobs=jobs)
    print(write_probe(found, what, out))
    for file in sorted(out.glob(f"*-{what.replace(', ', '-')}.*")):
        print(f"wrote {file}")
