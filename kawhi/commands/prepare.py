"""``kawhi prepare``: a data set by name, from anywhere, as parquet files that training can use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kawhi.commands.app import app
from kawhi.data.sources import NAMES, PrepareError

if TYPE_CHECKING:  # `kawhi status` is typed often and needs none of these
    from kawhi.data.build import Tick
    from kawhi.data.prompt_length import PromptLength

MODEL = "Qwen/Qwen2.5-VL-7B-Instruct"
MAX_PROMPT_LENGTH = 1024
"""Tokens; appendix A of the paper."""

_PROCESSOR_FILES = ("*.json", "*.jinja", "merges.txt")
_URL = ("http://", "https://")

HELP = """\
A data set as parquet files that training can use, checked row by row; what is dropped is reported with its id.

\b
  kawhi prepare geo3k
  kawhi prepare chartqa_20k --from path/to/ChartQA
  kawhi prepare virl39k --from https://mirror.example --model path/to/Qwen2.5-VL-7B-Instruct
"""


@app.command(help=HELP, short_help="a data set as checked parquet files: " + ", ".join(NAMES))
@click.argument("name", help=", ".join(NAMES))
@click.option(
    "--from",
    "source",
    default="hub",
    metavar="PLACE",
    help="hub (default), a folder in the hub's or the data set's own layout, a parquet file, or a mirror's URL",
)
@click.option("--revision", help="commit, tag or branch on the hub (default: the commit that is pinned here)")
@click.option("--out", type=Path, metavar="FOLDER", help="where to write (default: results/data/NAME)")
@click.option(
    "--model", default=MODEL, help=f"whose processor measures the prompts: hub name or folder (default: {MODEL})"
)
@click.option(
    "--max-prompt-length",
    type=int,
    default=MAX_PROMPT_LENGTH,
    metavar="TOKENS",
    help=f"longer prompts are dropped (default: {MAX_PROMPT_LENGTH})",
)
@click.option("--limit", type=int, metavar="N", help="the first N rows of every split, to try it out")
def prepare(
    name: str,
    source: str,
    revision: str | None,
    out: Path | None,
    model: str,
    max_prompt_length: int,
    limit: int | None,
) -> None:
    import pyarrow

    from kawhi.data import build, origins
    from kawhi.data.sources import source_class

    kind = source_class(name)
    revision = revision or kind.revision
    if max_prompt_length < 1 or (limit is not None and limit < 1):
        raise PrepareError("--max-prompt-length and --limit take whole numbers of at least 1")
    out = out or _default_folder(name, limit)
    local = source != "hub" and not source.startswith(_URL)
    try:
        reader = kind(origins.locate(kind, source, revision)) if local else None
        request = build.Request(
            name=name,
            source=f"files {origins.fingerprint(reader.files)}" if reader else f"{kind.repository}@{revision}",
            selection=kind.selection(),
            model=model,
            max_prompt_length=max_prompt_length,
            limit=limit,
        )
        report = build.finished(request, out)  # before anything is downloaded or loaded
        if report is not None:
            print(f"nothing to do: {out} was prepared in the same way")
            _print(report, build.report_path(name, out))
            return
        reader = reader or kind(origins.locate(kind, source, revision))
        measure = _measure(model, source)
        with _progress() as tick:
            report = build.build(reader, origins.fingerprint(reader.files), request, out, measure, tick)
    except pyarrow.ArrowException as error:  # a parquet file that is none
        raise PrepareError(str(error)) from error
    _print(report, build.report_path(name, out))
    for sentence in report["notes"]:
        print(sentence)
    for split in report["splits"]:
        print(f"wrote {out / split}.parquet")
    print(f"which benchmarks' items it has, in pictures or questions: kawhi contamination {out / 'train.parquet'}")


def _default_folder(name: str, limit: int | None) -> Path:
    return Path("results/data") / (name if limit is None else f"{name}-first-{limit}")


def _measure(model: str, source: str) -> PromptLength:
    from kawhi.base.checkout import configuration_folder, resolve_package_paths
    from kawhi.base.published import pinned
    from kawhi.data import origins
    from kawhi.data.prompt_length import PromptLength

    folder = Path(resolve_package_paths(model)).expanduser()
    if not folder.is_dir():
        if model.startswith(("pkg://", "/", ".", "~")):
            raise PrepareError(f"there is no model folder {folder}; --model takes a folder or a name on the hub")
        endpoint = source if source.startswith(_URL) else None
        revision = pinned(model, configuration_folder()) or "main"
        folder = origins.fetch(model, "model", _PROCESSOR_FILES, endpoint, revision)
    try:
        return PromptLength.of(str(folder))
    except (OSError, ValueError) as error:
        raise PrepareError(f"{model} has no processor of a Qwen-VL model: {error}") from error


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
