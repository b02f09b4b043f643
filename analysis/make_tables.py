"""Tables from records: results/records/*.json, and published ones -> results/tables/<name>.md, .tex, .csv and .html.

python analysis/make_tables.py                       # all of them: both papers' and the ablations
python analysis/make_tables.py main chart ablation   # tables 1, 2 and 3 of the KAWHI paper
python analysis/make_tables.py heads weights         # ablations, by their file in conf/ablation
python analysis/make_tables.py main --format latex   # one format alone, which is printed, too: > main.tex
python analysis/make_tables.py main --without results/contamination/geo3k/pairs.jsonl   # of items nobody trained on
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __package__ is None:  # run as a script
    sys.path[0] = str(ROOT)

from analysis import efficiency_table as efficiency  # noqa: E402
from analysis import grounding_table as grounding  # noqa: E402
from analysis import methods  # noqa: E402
from analysis.collapse import collapsed  # noqa: E402
from analysis.experiment import experiments  # noqa: E402
from analysis.paper_layout import layouts  # noqa: E402
from analysis.paper_table import paper_table  # noqa: E402
from analysis.programs import include_first, parsed, parser, read, results  # noqa: E402
from analysis.records import TableError, frame  # noqa: E402
from analysis.render import Links, show, to_csv, to_markdown  # noqa: E402
from analysis.render_html import to_html  # noqa: E402
from analysis.render_latex import to_latex  # noqa: E402
from analysis.table import Table, with_notes  # noqa: E402
from analysis.training_tables import ablations, training_table  # noqa: E402
from analysis.without import PairsError, Without  # noqa: E402
from kawhi.base.files import write_atomically as write  # noqa: E402
from kawhi.records.folder import Folder, origin  # noqa: E402
from kawhi.records.schema import Record  # noqa: E402

SHORT = {"main": "main_table", "chart": "chart_table", "ablation": "ablation_table", "tor": "tor_main"}
PAPERS = tuple(name for name in layouts())
ABLATIONS = (*ablations(), grounding.NAME, methods.NAME, efficiency.NAME)
NAMES = (*PAPERS, *ABLATIONS)
FORMATS = {"markdown": "md", "latex": "tex", "csv": "csv", "html": "html"}


def on_request() -> tuple[str, ...]:
    """Further tables: those of which the papers print no numbers, and somebody's own that were included."""
    return tuple(name for name in (*experiments(), *ablations()) if name not in NAMES)


def known() -> tuple[str, ...]:
    """All names that are understood."""
    return (*SHORT, *NAMES, *on_request())


def make_tables(records: Mapping[Path, Record], names: list[str]) -> tuple[list[Table], list[str]]:
    """The tables asked for, or all of :data:`NAMES`; and a sentence for each that could not be made.

    Args:
        records: sound ones, by file.
        names: without short ones.
    """
    every = frame(records)
    make: dict[str, Callable[[], list[Table]]] = {
        grounding.NAME: lambda: [grounding.grounding_table(every)],
        methods.NAME: lambda: [methods.methods_table(every)],
        efficiency.NAME: lambda: [efficiency.efficiency_table(every)],
        **{name: partial(lambda own: [training_table(own, every)], own) for name, own in ablations().items()},
        **{
            name: partial(paper_table, experiments()[name], every)
            for name in (*PAPERS, *on_request())
            if name in experiments()
        },
    }
    tables: list[Table] = []
    refused = []
    for name in dict.fromkeys(names or NAMES):
        try:
            tables += map(with_notes, make[name]())
        except TableError as error:
            refused.append(f"no table {name}: {error}")
    return tables, refused


def main(arguments: list[str] | None = None) -> int:
    """Command line; what is wrong with a record or a table is named, the rest is made, and the exit code is 1."""
    arguments = include_first(arguments)
    options = parser(__doc__, "tables")
    options.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(known())}")
    options.add_argument("--format", choices=FORMATS, help="this one alone (default: all four)")
    options.add_argument(
        "--without", type=Path, metavar="PAIRS", help="leave out the items that kawhi contamination listed in this file"
    )
    options.add_argument(
        "--runs",
        type=Path,
        default=Path(os.environ.get("KAWHI_RUNS", results() / "runs")),
        metavar="FOLDER",
        help="the run directories whose samples --without scores anew (default: KAWHI_RUNS or results/runs)",
    )
    given = parsed(options, arguments, "table", known())
    try:
        without = Without.of(given.without, given.runs) if given.without else None
    except PairsError as error:
        options.error(str(error))
    folder = read(given.records, without) if without else read(given.records)
    tables, refused = make_tables(folder.records, [SHORT.get(name, name) for name in given.names])
    for text in (*(f"left out {each}" for each in folder.refused), *refused):
        print(text, file=sys.stderr)
    given.out.mkdir(parents=True, exist_ok=True)
    tables = [_with_origin(table, folder, without) for table in tables]
    for table in tables:
        for kind, text in rendered(table, Links(given.out)).items():
            if given.format in (None, kind):
                write(given.out / f"{table.name}.{FORMATS[kind]}", text)
    if given.names and given.format not in (None, "markdown"):
        print(*(rendered(table, Links(given.out))[given.format] for table in tables), sep="\n", end="")
    elif given.names:
        show([*map(collapsed, tables)])
    else:
        print(f"wrote {len(tables)} tables into {given.out}; `make_tables.py NAME` prints one")
    return 1 if folder.refused or refused else 0


def _with_origin(table: Table, folder: Folder, without: Without | None) -> Table:
    """With notes on its numbers: whose records they are from, of several folders, and which items were left out."""
    files = {file for source in table.anchors for file in source.records}
    told = [f"Records: {origin(files)}."] * folder.several + ([without.note] if without else [])
    return replace(table, notes=(*table.notes, *told)) if files else table


def rendered(table: Table, links: Links) -> dict[str, str]:
    """The text of a table in each of :data:`FORMATS`; CSV, which programs read, has all rows and columns."""
    read = collapsed(table)
    return {
        "markdown": to_markdown(read, links),
        "latex": to_latex(read),
        "csv": to_csv(table, links),
        "html": to_html(read, links),
    }


if __name__ == "__main__":
    sys.exit(main())
