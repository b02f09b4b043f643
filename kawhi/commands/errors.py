"""``kawhi errors``: arguments in, files out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kawhi.commands.app import app, typed

HELP = """\
Error attribution (figure 1a): a judge sorts every wrong answer of a run into VP, AO, CE, RAE or Others.

\b
  kawhi errors results/runs/main_table/NAME --benchmark kawhi_mathverse --judge qwen3_vl_30b_a3b
"""


@app.command(help=HELP, short_help="why a run's wrong answers are wrong, by a judge, as counts and a figure")
@click.argument("run", type=Path, help="the folder of an evaluated run, or of one evaluation in its folder eval")
@click.option("--benchmark", metavar="TASK", help="e.g. kawhi_mathverse (default: the run's only one)")
@click.option("--judge", required=True, metavar="NAME", help="a file of conf/judge, without .yaml")
@click.option("--base-url", metavar="URL", help="of a running server of the judge")
@click.option("--model", metavar="NAME", help="the judge, as that server calls it")
def errors(run: Path, benchmark: str | None, judge: str, base_url: str | None, model: str | None) -> None:
    from omegaconf import OmegaConf

    from kawhi.base.checkout import configuration_folder
    from kawhi.evaluation.judge_server import judging
    from kawhi.evaluation.results import only_evaluation
    from kawhi.probes.error_attribution import RESULTS, attribute, folder_of, wrong_answers
    from kawhi.probes.error_figure import draw
    from kawhi.probes.study_record import write_errors_record
    from kawhi.runs.rejudge import judge_config
    from kawhi.runs.verl_command import to_override

    evaluation = only_evaluation(run, benchmark)
    task, folder = evaluation.task, evaluation.path
    other = {"base_url": base_url, "model": model}
    given = [f"{key}={to_override(value)}" for key, value in other.items() if value]
    block: Any = OmegaConf.to_container(judge_config(configuration_folder(), judge, given), resolve=True)
    out = folder_of(folder, block["name"])
    wrong_answers(folder, task)  # before a judge is started for nothing
    with judging(block, log=out / "judge-server.log") as server:
        assert server is not None  # the block names one
        found = attribute(folder, task, server)
    files = [out / name for name in RESULTS]
    draw(found, tuple(file for file in files if file.suffix in (".png", ".pdf")))
    for name, count in found["counts"].items():
        share = found["shares"][name]
        print(
            f"{name:7} {count:5}  {100 * share['share']:5.1f} %  [{100 * share['low']:.1f}, {100 * share['high']:.1f}]"
        )
    record = write_errors_record(found, evaluation, typed())
    for file in [*files, *([record] if record else [])]:
        print(f"wrote {file}")
