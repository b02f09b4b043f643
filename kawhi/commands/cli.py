"""The ``kawhi`` command."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from kawhi.commands.evaluation import COMMANDS as EVALUATION
from kawhi.commands.evaluation import add_parser as add_evaluation
from kawhi.commands.evaluation import run as run_evaluation
from kawhi.commands.explain import add_parser as add_explain
from kawhi.commands.explain import explain
from kawhi.commands.prepare import add_parser as add_prepare
from kawhi.commands.prepare import prepare
from kawhi.commands.probes import add_parsers as add_probes
from kawhi.commands.probes import errors, heads
from kawhi.commands.records import add_parser as add_records
from kawhi.commands.records import records


def main(arguments: list[str] | None = None) -> int:
    """Parses and runs; returns the exit code."""
    parser = argparse.ArgumentParser(prog="kawhi", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="check this machine, with one thing to do per finding")
    doctor.add_argument("--folder", type=Path, default=Path("."), help="where runs are written")
    doctor.add_argument("--cluster", action="store_true", help="check the Slurm cluster instead, on some of its nodes")
    doctor.add_argument("--nodes", type=int, metavar="N", help="with --cluster: how many (default: 2, or the only one)")
    doctor.add_argument("--scale", metavar="NAME", help="with --cluster: whose needs (default: the site's, or h200x8)")
    doctor.add_argument("--runs", type=Path, metavar="FOLDER", help="with --cluster: paths.runs (default: the site's)")
    status = commands.add_parser("status", help="where the runs of an experiment are")
    status.add_argument("experiment", nargs="?", default="*", help="folder name under the runs; default: all")
    status.add_argument("--runs", type=Path, help="paths.runs (default: KAWHI_RUNS, the site's, or results/runs)")
    status.add_argument("--watch", action="store_true", help="draw it again every 5 s until Ctrl-C")
    status.add_argument("--failed", action="store_true", help="only cells that failed, all of them with their logs")
    plan = commands.add_parser("plan", help="every cell of a command with its verl command line, time and state")
    plan.add_argument("overrides", nargs="*", help="as for experiments/run.py, e.g. experiment=main_table scale=h200x8")
    plan.add_argument("--short", action="store_true", help="without the command lines")
    add_prepare(commands)
    add_explain(commands)
    add_evaluation(commands)
    add_probes(commands)
    add_records(commands)
    sheet = commands.add_parser("sheet", help="a contact sheet of the tiny world as PNG")
    sheet.add_argument("out", type=Path)
    given = parser.parse_args(arguments)
    try:
        return _run(given, sys.argv[1:] if arguments is None else arguments)
    except ModuleNotFoundError as error:
        remedy = "type `make setup`, or pip install -e '.[train,evaluation,analysis]' in the checkout"
        print(f"error: kawhi {given.command} needs {error.name}: {remedy}", file=sys.stderr)
        return 1


def _run(given: argparse.Namespace, arguments: list[str]) -> int:
    if given.command == "doctor":
        if given.cluster:
            from kawhi.doctor.cluster import report_cluster

            return report_cluster(given.scale, given.nodes, given.runs)
        from kawhi.doctor.machine import report

        return report(given.folder)
    if given.command in ("status", "plan"):
        from kawhi.base.errors import CellError
        from kawhi.queue.site import use_folders

        try:
            use_folders()
        except CellError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    if given.command == "status":
        from kawhi.runs.status import print_status

        runs = given.runs or Path(os.environ.get("KAWHI_RUNS", "results/runs"))
        return print_status(runs, given.experiment, failed=given.failed, watch=given.watch)
    if given.command == "plan":
        from kawhi.runs.plan import print_plan

        return print_plan(given.overrides, short=given.short)
    if given.command == "prepare":
        return prepare(given)
    if given.command == "explain":
        return explain(given, arguments)
    if given.command in EVALUATION:
        return run_evaluation(given)
    if given.command == "heads":
        return heads(given, arguments)
    if given.command == "errors":
        return errors(given, arguments)
    if given.command == "records":
        return records(given)
    from kawhi.tiny.sheet import contact_sheet

    try:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet().save(given.out)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {given.out}")
    return 0
