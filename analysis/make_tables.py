"""Tables from records (results/records/*.json -> results/tables/<name>.md, .tex and .csv).

python analysis/make_tables.py                       # every table for which something was run
python analysis/make_tables.py heads weights         # these, whether something was run or not
python analysis/make_tables.py main_table            # a table of conf/experiment, without the paper's numbers
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __package__ is None:  # run as a script: this folder's statistics.py would hide the standard library's
    sys.path[0] = str(ROOT)

from analysis import grounding, methods  # noqa: E402
from analysis.experiment import experiment_table, experiments  # noqa: E402
from analysis.records import RecordError, read_entries, read_grounding, read_records, read_timing  # noqa: E402
from analysis.render import show, to_csv, to_latex, to_markdown  # noqa: E402
from analysis.table import Table  # noqa: E402
from analysis.training import ablations, training_table  # noqa: E402

NAMES = (*ablations(), grounding.NAME, methods.NAME)
ON_REQUEST = tuple(name for name in experiments() if name not in NAMES)
"""Tables of ``conf/experiment``; a record stands in several of them, so they are made when they are asked for."""


def make_tables(folder: Path, names: list[str]) -> tuple[list[Table], list[str]]:
    """The tables asked for, or all for which something was run; and the names of the others."""
    trained, grounded, timed = read_records(folder), read_grounding(folder), read_timing(folder)
    run = [name for name in ablations() if ablations()[name].concerns(trained)]
    run += [grounding.NAME] * bool(grounded) + [methods.NAME] * bool(timed)
    make: dict[str, Callable[[], Table]] = {
        grounding.NAME: lambda: grounding.grounding_table(grounded),
        methods.NAME: lambda: methods.methods_table(timed),
    }
    if any(name in ON_REQUEST for name in names):
        entries = read_entries(folder)
        make |= {name: partial(experiment_table, experiments()[name], entries) for name in ON_REQUEST}
    wanted = list(dict.fromkeys(names)) or run
    tables = [make[name]() if name in make else training_table(ablations()[name], trained) for name in wanted]
    return tables, [name for name in NAMES if not names and name not in run]


def main(arguments: list[str] | None = None) -> int:
    """Command line; nothing is written unless every record is sound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join((*NAMES, *ON_REQUEST))}")
    parser.add_argument("--records", type=Path, default=ROOT / "results" / "records")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "tables")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in (*NAMES, *ON_REQUEST)]:
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join((*NAMES, *ON_REQUEST))}")
    try:
        tables, skipped = make_tables(given.records, given.names)
    except RecordError as error:
        print(error, file=sys.stderr)
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    for i, table in enumerate(tables):
        for ending, text in {"md": to_markdown(table), "tex": to_latex(table), "csv": to_csv(table)}.items():
            _write(given.out / f"{table.name}.{ending}", text)
        print(end="\n" if i else "")
        show(table)
    if skipped:
        print(f"skipped, because nothing was run for them: {', '.join(skipped)}", file=sys.stderr)
    return 0


def _write(path: Path, text: str) -> None:
    """A reader, and another program that makes the same table, sees the old table or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
