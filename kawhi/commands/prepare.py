"""``kawhi prepare``: a data set by name, from anywhere, as parquet files that training can use."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kawhi.data.sources import NAMES, PrepareError

if TYPE_CHECKING:  # `kawhi status` is typed often and needs none of these
    from kawhi.data.build import Tick
    from kawhi.data.prompt_length import PromptLength

MODEL = "Qwen/Qwen2.5-VL-7B-Instruct"
MAX_PROMPT_LENGTH = 1024
"""Tokens; appendix A of the paper."""

_PROCESSOR_FILES = ("*.json", "*.jinja", "merges.txt")

HELP = """\
A data set as parquet files that training can use, checked row by row; what is dropped is reported with its id.

  kawhi prepare geo3k
  kawhi prepare chartqa_20k --from path/to/ChartQA
  kawhi prepare virl39k --from https://mirror.example --model path/to/Qwen2.5-VL-7B-Instruct
"""


def add_parser(commands) -> None:
    """Adds the command to ``kawhi``; imports nothing heavy."""
    parser = commands.add_parser(
        "prepare",
        help="a data set as checked parquet files: " + ", ".join(NAMES),
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help=", ".join(NAMES))
    parser.add_argument(
        "--from",
        dest="source",
        default="hub",
        metavar="PLACE",
        help="hub (default), a folder in the hub's or the data set's own layout, a parquet file, or a mirror's URL",
    )
    parser.add_argument("--revision", default="main", help="commit, tag or branch on the hub (default: main)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: results/data/NAME)")
    parser.add_argument(
        "--model", default=MODEL, help=f"whose processor measures the prompts: hub name or folder (default: {MODEL})"
    )
    parser.add_argument(
        "--max-prompt-length",
        type=int,
        default=MAX_PROMPT_LENGTH,
        metavar="TOKENS",
        help=f"longer prompts are dropped (default: {MAX_PROMPT_LENGTH})",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="the first N rows of every split, to try it out")


def prepare(given: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    import pyarrow

    try:
        _prepare(given)
    except (PrepareError, OSError, pyarrow.ArrowException) as error:
        return _refuse(" ".join(str(error).split()))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _prepare(given: argparse.Namespace) -> None:
    from kawhi.data import build, places
    from kawhi.data.sources import source_class

    kind = source_class(given.name)
    if given.max_prompt_length < 1 or (given.limit is not None and given.limit < 1):
        raise PrepareError("--max-prompt-length and --limit take whole numbers of at least 1")
    folder = given.name if given.limit is None else f"{given.name}-first-{given.limit}"
    out = given.out or Path("results/data") / folder
    local = given.source != "hub" and not given.source.startswith(("http://", "https://"))
    source = kind(places.locate(kind, given.source, given.revision)) if local else None
    request = build.Request(
        name=given.name,
        source=f"files {places.fingerprint(source.files)}" if source else f"{kind.repository}@{given.revision}",
        selection=kind.selection(),
        model=given.model,
        max_prompt_length=given.max_prompt_length,
        limit=given.limit,
    )
    report = build.finished(request, out)  # before anything is downloaded or loaded
    if report is not None:
        print(f"nothing to do: {out} was prepared in the same way")
        _print(report, build.report_path(given.name, out))
        return
    source = source or kind(places.locate(kind, given.source, given.revision))
    measure = _measure(given)
    with _progress() as tick:
        report = build.build(source, places.fingerprint(source.files), request, out, measure, tick)
    _print(report, build.report_path(given.name, out))
    for sentence in report["notes"]:
        print(sentence)
    for split in report["splits"]:
        print(f"wrote {out / split}.parquet")


def _measure(given: argparse.Namespace) -> PromptLength:
    from kawhi.base.checkout import resolve_package_paths
    from kawhi.data import places
    from kawhi.data.prompt_length import PromptLength

    folder = Path(resolve_package_paths(given.model)).expanduser()
    if not folder.is_dir():
        if given.model.startswith(("pkg://", "/", ".", "~")):
            raise PrepareError(f"there is no model folder {folder}; --model takes a folder or a name on the hub")
        endpoint = given.source if given.source.startswith(("http://", "https://")) else None
        folder = places.fetch(given.model, "model", _PROCESSOR_FILES, endpoint, "main")
    try:
        return PromptLength.of(str(folder))
    except (OSError, ValueError) as error:
        raise PrepareError(f"{given.model} has no processor of a Qwen-VL model: {error}") from error


@contextmanager
def _progress() -> Iterator[Tick]:
    """A bar in a terminal, a line per shard elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if not sys.stdout.isatty():
        yield _line
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=Console()) as bar:

        def tick(split: str, done: int, total: int, dropped: int) -> None:
            if split not in tasks:
                tasks[split] = bar.add_task(split)
            bar.update(tasks[split], completed=done, total=total, description=f"{split}, {dropped} dropped")

        yield tick


def _line(split: str, done: int, total: int, dropped: int) -> None:
    print(f"{split}: {done} of {total} rows, {dropped} dropped", flush=True)


def _print(report: dict[str, Any], path: Path) -> None:
    """Rows kept and dropped, with the first ids of each reason."""
    from rich.console import Console
    from rich.table import Table

    table = Table("split", "rows", "why dropped", "ids")
    for split, counts in report["splits"].items():
        table.add_row(split, str(counts["kept"]), "", "")
        for reason, count in counts["dropped"].items():
            ids = [row["id"] for row in report["dropped"] if (row["split"], row["reason"]) == (split, reason)]
            table.add_row("", f"-{count}", reason, ", ".join(ids[:3]) + (", ..." if count > 3 else ""))
    console = Console() if sys.stdout.isatty() else Console(width=160)  # a pipe has no width to fit into
    console.print(table)
    print(f"every row that was dropped is in {path}")


def _refuse(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 1
