"""``kawhi prepare``: a data set by name, from anywhere, as parquet files that training can use."""

from __future__ import annotations

import re
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
    from kawhi.data.sources.base import Source

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
  kawhi prepare mine --from my_data --column question=prompt --reward my_reward.py:score
"""


@app.command(help=HELP, short_help="a data set as checked parquet files: " + ", ".join(NAMES))
@click.argument("name", help=", ".join(NAMES) + "; or any other name, for data of your own")
@click.option(
    "--from",
    "source",
    default="hub",
    metavar="PLACE",
    help="hub (default), a folder in the hub's or the data set's own layout, a parquet file, or a mirror's URL; "
    "of your own data a .jsonl or .parquet file, or a folder with some",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="WHAT=NAME",
    help="of your own data: the column of the question, answer, image, id or choices (default: guessed, and shown)",
)
@click.option("--reward", metavar="FILE.py:FUNCTION", help="a reward function of your own, tried on ten rows")
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
    columns: tuple[str, ...],
    reward: str | None,
    revision: str | None,
    out: Path | None,
    model: str,
    max_prompt_length: int,
    limit: int | None,
) -> None:
    import pyarrow

    if max_prompt_length < 1 or (limit is not None and limit < 1):
        raise PrepareError("--max-prompt-length and --limit take whole numbers of at least 1")
    out = out or _default_folder(name, limit)
    limits = {"model": model, "max_prompt_length": max_prompt_length, "limit": limit}
    try:
        _prepare(name, source, revision, columns, out, limits)
    except pyarrow.ArrowException as error:  # a parquet file that is none
        raise PrepareError(str(error)) from error
    if reward is not None:
        _try(reward, out / "train.parquet")


def _prepare(
    name: str, source: str, revision: str | None, columns: tuple[str, ...], out: Path, limits: dict[str, Any]
) -> None:
    from kawhi.data import build, origins
    from kawhi.data.sources import source_class

    local = source != "hub" and not source.startswith(_URL)
    reader = _local(name, source, revision, columns) if local else None
    kind = type(reader) if reader else source_class(name)
    revision = revision or str(getattr(kind, "revision", ""))
    origin = _origin(reader) if reader else f"{kind.repository}@{revision}"
    request = build.Request(name=name, source=origin, selection=kind.selection(), **limits)
    report = build.finished(request, out)  # before anything is downloaded or loaded
    if report is not None:
        print(f"nothing to do: {out} was prepared in the same way")
        _print(report, build.report_path(name, out))
        return
    reader = reader or kind(origins.locate(kind, source, revision))
    measure = _measure(limits["model"], source)
    with _progress() as tick:
        report = build.build(reader, origins.fingerprint(reader.files), request, out, measure, tick)
    _print(report, build.report_path(name, out))
    _say(report, name, out)


def _origin(reader: Source) -> str:
    """What decides which rows local files give."""
    from kawhi.data import origins

    return f"files {origins.fingerprint(reader.files)}{reader.about}"


def _say(report: dict[str, Any], name: str, out: Path) -> None:
    for sentence in report["notes"]:
        print(sentence)
    for split in report["splits"]:
        print(f"wrote {out / split}.parquet")
    if name not in NAMES:
        print(
            f"train on it: data=custom data.name={name}, with this --max-prompt-length as verl.data.max_prompt_length"
        )
    print(f"which benchmarks' items it has, in pictures or questions: kawhi contamination {out / 'train.parquet'}")


def _local(name: str, source: str, revision: str | None, columns: tuple[str, ...]) -> Source:
    """What reads files of this machine: of a data set that ships, or of one's own."""
    from kawhi.data import origins
    from kawhi.data.sources import own, source_class

    named = dict(each.partition("=")[::2] for each in columns)
    if name in NAMES:
        if named:
            raise PrepareError(f"--column is for data of your own; the columns of {name} are known")
        kind = source_class(name)
        return kind(origins.locate(kind, source, revision or kind.revision))
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise PrepareError(f"{name!r} is no name for data: take letters, digits, - and _, for it names a folder")
    place = Path(source).expanduser().resolve()
    if not place.exists():
        raise PrepareError(f"there is no file or folder {source}")
    reader = own.Reader(place, named)
    print("columns: " + ", ".join(_column(*each, named) for each in reader.columns.items()))
    return reader


def _column(what: str, column: str, named: dict[str, str]) -> str:
    return f"{what}={column}{'' if what in named else ' (guessed)'}"


def _try(reward: str, data: Path) -> None:
    """A reward function of one's own on the first rows, and what it says of a right and of no answer."""
    from kawhi.base.checkout import resolve_package_paths
    from kawhi.data.reward_places import reward_place
    from kawhi.data.reward_trial import try_reward

    try:
        file, function = reward_place(reward)
    except ValueError as error:
        raise PrepareError(str(error)) from error
    found = try_reward(Path(resolve_package_paths(file)), function, {}, data)
    doubt = ": is that what you mean?" if found.truth <= found.empty else ""
    said = f"the answer in a box earns {found.truth:g} on average, an empty response {found.empty:g}"
    print(f"reward {reward}, on {found.rows} rows: {said}{doubt}")


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
