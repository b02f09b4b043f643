"""``kawhi contamination``: arguments in, a file of pairs and a table out."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kawhi.base.errors import CellError
from kawhi.commands.app import INCLUDE, ListOptions, app

if TYPE_CHECKING:  # `kawhi status` is typed often and needs none of these
    from kawhi.evaluation.contamination import Pair

HELP = """\
Which items of the benchmarks a training set has seen: the same picture (to the pixel, resized, recompressed or cropped)
or the same question.  Every pair is a line of a file, without which analysis/make_tables.py --without makes tables.

\b
  kawhi contamination geo3k
  kawhi contamination results/data/chartqa_20k/train.parquet --benchmark kawhi_chartqa kawhi_chartqapro=rows.parquet
"""


@app.command(cls=ListOptions, help=HELP, short_help="which benchmarks' items a training set has seen, as pairs of rows")
@click.argument("data", help="a name of kawhi prepare (results/data/NAME/train.parquet), or a parquet file")
@click.option(
    "--benchmark",
    "named",
    multiple=True,
    metavar="TASK[=FILE] [...]",
    help="only these; FILE takes the place of the hub's data set (default: every one of conf/benchmarks)",
)
@INCLUDE
@click.option("--out", type=Path, metavar="FOLDER", help="where to write (default: results/contamination/NAME)")
def contamination(data: str, named: tuple[str, ...], out: Path | None) -> None:
    from kawhi.base.files import write_atomically, write_json
    from kawhi.evaluation import contamination as compared
    from kawhi.pictures.likeness import Looks

    file = Path(data) if data.endswith(".parquet") else Path("results/data") / data / "train.parquet"
    out = out or Path("results/contamination") / (file.parent.name if data.endswith(".parquet") else data)
    entries = _entries(named)
    train = compared.Rows.of(compared.training_rows(file))
    known = Looks(train.looks)
    found: list[Pair] = []
    counts = {}
    for entry, files in entries:
        task = entry["task"]
        rows = compared.Rows.of(compared.benchmark_rows(entry, files))
        own = compared.pairs(task, rows, train, known)
        counts[task] = {"items": len(rows.ids), "seen": len({pair.item for pair in own}), **_kinds(own)}
        found += own
    lines = [json.dumps(vars(pair), ensure_ascii=False) + "\n" for pair in found]
    write_atomically(out / "pairs.jsonl", "".join(lines))
    write_json(out / "summary.json", {"data": str(file), "rows": len(train.ids), "benchmarks": counts})
    _print(counts)
    print(f"{len(found)} pairs of {file} ({len(train.ids)} rows) and the benchmarks: {out / 'pairs.jsonl'}")


def _entries(named: Sequence[str]) -> list[tuple[dict[str, Any], list[Path]]]:
    """Entries of ``conf/benchmarks``, each once, with files in the place of their data.

    Raises:
        CellError: a benchmark that is none, or whose rows are drawn and no file is named.
    """
    import yaml

    from kawhi.base.checkout import configuration_folder
    from kawhi.base.included import configuration_files
    from kawhi.evaluation.benchmark import load

    listed: list[dict[str, Any]] = []
    for path in configuration_files("benchmarks", configuration_folder()):
        own = yaml.safe_load(path.read_text(encoding="utf-8"))["benchmarks"]
        listed += [entry for entry in own if entry not in listed]
    if not named:
        return [(entry, []) for entry in listed if load(entry["task"]).data]
    wanted = {task: file for task, _, file in (each.partition("=") for each in named)}
    if unknown := sorted(wanted.keys() - {entry["task"] for entry in listed}):
        raise CellError(f"no benchmark {unknown[0]}; there are {', '.join(entry['task'] for entry in listed)}")
    if drawn := [task for task, file in wanted.items() if not file and not load(task).data]:
        raise CellError(f"the rows of {drawn[0]} are drawn: name a file of them with {drawn[0]}=FILE")
    if missing := [file for file in wanted.values() if file and not Path(file).is_file()]:
        raise CellError(f"there is no file {missing[0]}")
    chosen = {entry["task"]: entry for entry in listed if entry["task"] in wanted}
    return [(entry, [Path(wanted[task])] if wanted[task] else []) for task, entry in chosen.items()]


def _kinds(found: Sequence[Pair]) -> dict[str, int]:
    """Items by how they are known; an item may be known in several ways."""
    kinds = {
        "same picture": [pair.item for pair in found if pair.image == 1],
        "picture alike": [pair.item for pair in found if pair.image is not None and pair.image < 1],
        "same question": [pair.item for pair in found if pair.question == 100],
        "question alike": [pair.item for pair in found if pair.question is not None and pair.question < 100],
    }
    return {kind: len({*items}) for kind, items in kinds.items()}


def _print(counts: dict[str, dict[str, int]]) -> None:
    from rich.console import Console
    from rich.table import Table

    heads = [*next(iter(counts.values()))]
    table = Table("benchmark", *heads)
    for task, own in counts.items():
        table.add_row(task, *(str(own[head]) for head in heads))
    console = Console() if sys.stdout.isatty() else Console(width=160)  # a pipe has no width to fit into
    console.print(table)
