"""``kawhi records check`` and ``kawhi records rebuild``."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kawhi.base.errors import CellError
from kawhi.commands.app import app

if TYPE_CHECKING:
    from kawhi.records.folder import Folder
    from kawhi.records.schema import Record

HELP = """\
Records are the small JSON files that tables, figures and the report are made of.

\b
  kawhi records check                     # your own and the published ones, against their schema and themselves
  kawhi records rebuild                   # writes the records of all that is finished again, in today's form
"""


@app.group(help=HELP, short_help="check the records that tables are made of, or write them again from the runs")
def records() -> None: ...


@records.command(short_help="name each record that cannot be used; exit code 1 when there is one")
@click.argument("folder", required=False, type=Path, help="default: your own and the published ones")
def check(folder: Path | None) -> int:
    """Names every record that is left out; the exit code is 0 when there is none.

    Scores by rules that have changed since are named, too.  They are sound: the same rules made all of one such score.
    """
    from kawhi.base.checkout import record_folders
    from kawhi.records.folder import read_folder

    own = Path(os.environ.get("KAWHI_RECORDS", "results/records"))
    folders = [folder] if folder else record_folders(own)
    for place in folders:
        _tell(place, read_folder(place))
    found = read_folder(*folders)
    if found.several:
        print(found.summary())
    return 1 if found.refused else 0


def _tell(folder: Path, found: Folder) -> None:
    """Prints what is sound in a folder and what is not."""
    for each in found.refused:
        print(f"left out {each}", file=sys.stderr)
    kinds = Counter(f"{record.provenance} {type(record).__name__}" for record in found.records.values())
    told = ", ".join(f"{count} {kind.removesuffix('Record').lower()}" for kind, count in sorted(kinds.items()))
    print(
        f"{folder}: {len(found.records)} records are sound{f' ({told})' if told else ''}, {len(found.refused)} left out"
    )
    _tell_changed_rules(found.records)


def _tell_changed_rules(records: Mapping[Path, Record]) -> None:
    from kawhi.evaluation.rules import changed_rules
    from kawhi.records.schema import EvaluationRecord

    below = Path(os.environ.get("KAWHI_RUNS", "results/runs"))
    for file, record in records.items():
        if isinstance(record, EvaluationRecord) and (today := changed_rules(record.task, record.result.rules)):
            run = below / record.cell.experiment / record.cell.name.removesuffix(f"_{record.task}")
            told = f"was scored by rules that have changed since ({record.result.rules} -> {today})"
            print(f"{file}: {record.task} {told}: kawhi rescore {run}", file=sys.stderr)


@records.command(short_help="write the records of finished runs again; nothing is run")
@click.argument("runs", nargs=-1, type=Path, help="folders of trainings or evaluations (default: all finished ones)")
def rebuild(runs: tuple[Path, ...]) -> int:
    """Reads the files again; what cannot be rebuilt is named, and the exit code is 1."""
    from kawhi.runs.record import rebuilt

    below = Path(os.environ.get("KAWHI_RUNS", "results/runs"))
    finished = [*below.glob("*/*/record.json"), *below.glob("*/*/eval/*/record.json")]
    folders = runs or [file.parent for file in sorted(finished)]
    failed = 0
    for number, folder in enumerate(folders, 1):
        try:
            print(f"[{number}/{len(folders)}] {rebuilt(folder)}", flush=True)
        except (CellError, OSError, KeyError) as error:
            print(f"error: {folder}: {error}", file=sys.stderr)
            failed += 1
    if not folders:
        print(f"no finished run below {below}")
    return 1 if failed else 0
