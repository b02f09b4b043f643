"""A source -> checked parquet files, in shards: what was killed goes on, what is done is not done again.

Layout of the folder::

    <split>.parquet   <name>.report.json   .<name>-<fingerprint>/<split>-00012.parquet (only while work is left)

The report is written last and is the proof that all is done.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from heapq import merge
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kawhi.base.files import write_json
from kawhi.base.locks import alone
from kawhi.data import schema
from kawhi.data.example_checks import RULES, Dropped, Measure, check
from kawhi.data.prompts import INSTRUCTION
from kawhi.data.sampling import first_by_hash
from kawhi.data.sources.base import PrepareError, Source

SHARD_ROWS = 256
"""Rows of one shard: what a kill loses, and what memory holds (a chart has a fraction of a megabyte)."""

HELD_OUT = 500
"""Rows set aside for validation where the source has no such split; of a smaller source a tenth."""

HELD_OUT_SEED = 0

Tick = Callable[[str, int, int, int], None]
"""Told after every shard: split, rows done, rows in all, rows dropped."""


@dataclass(frozen=True)
class Request:
    """Everything that decides what the files hold."""

    name: str
    source: str
    """Repository and revision on the hub, or the fingerprint of local files."""
    selection: str
    model: str
    max_prompt_length: int
    limit: int | None

    def described(self) -> dict[str, Any]:
        prompt = hashlib.sha256(INSTRUCTION.encode()).hexdigest()[:8]
        return {**asdict(self), "rules": RULES, "prompt": prompt}


@dataclass(frozen=True)
class _Shard:
    split: str
    number: int
    rows: list[tuple[int, str]]
    round: int = 0
    """Of the rows that are wanted from the beginning 0; of those in the places of dropped ones the next numbers."""

    def path(self, folder: Path) -> Path:
        return folder / f"{self.split}-{self.number:05d}.parquet"


def finished(request: Request, out: Path) -> dict[str, Any] | None:
    """The report of the same preparation, if it was finished here.

    Raises:
        PrepareError: the folder holds another preparation; it is never overwritten, as a cell may be training on it.
    """
    path = report_path(request.name, out)
    report = json.loads(path.read_text()) if path.is_file() else {"request": request.described(), "splits": {}}
    others = {path: report["request"]}
    for split in ("train", "validation", "test"):
        file = out / f"{split}.parquet"
        if file.is_file():
            others[file] = (schema.preparation(file) or {}).get("request", {})
    for file, other in others.items():
        _refuse_another(file, other, request)
    complete = report["splits"] and all((out / f"{split}.parquet").is_file() for split in report["splits"])
    return report if complete else None


def _refuse_another(file: Path, made_with: dict[str, Any], request: Request) -> None:
    if not made_with:
        raise PrepareError(f"{file} was not made by kawhi prepare; name another folder with --out")
    differing = [
        f"{key} {made_with.get(key)!r} instead of {value!r}"
        for key, value in request.described().items()
        if made_with.get(key) != value
    ]
    if differing:
        raise PrepareError(
            f"{file} was made with {', '.join(differing)}; name another folder with --out, or remove this one"
        )


def report_path(name: str, out: Path) -> Path:
    return out / f"{name}.report.json"


def build(source: Source, content: str, request: Request, out: Path, measure: Measure, tick: Tick) -> dict[str, Any]:
    """Writes the files and returns the report.

    Args:
        content: fingerprint of the source's files; shards made from others are not gone on with.

    Raises:
        PrepareError: another process is at it, a split has no row left, or a source file is broken.
        OSError: a disk that is full or fails; what is done stays done.
    """
    key = json.dumps({**request.described(), "content": content}, sort_keys=True)
    folder = out / f".{request.name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    at_it = f"another process is preparing {out}; wait for it or stop it"
    with alone(out / f".{request.name}.lock", at_it, seconds=0):
        plan, repeated = _plan(source, request.limit)
        shards = {split: _made(source, request, folder, split, plan, measure, tick) for split in plan}
        report = _report(request, folder, shards, repeated)
        for split in shards:
            if not report["splits"][split]["kept"]:
                reasons = report["splits"][split]["dropped"]
                raise PrepareError(
                    f"no row of {split} is left ({_listed(reasons)}): is this the right source and model?"
                )
        for split, parts in shards.items():
            _join(out / f"{split}.parquet", folder, parts, request, split)
        report["notes"] = source.finish(out, None if request.limit else _kept_of(source, folder, shards))
        write_json(report_path(request.name, out), report)
        for leftover in out.glob(f".{request.name}-*"):  # of earlier requests too, which this report now refuses
            shutil.rmtree(leftover)
        for leftover in out.glob(".*.parquet.*"):  # half-written by a process that was killed
            leftover.unlink()
    return report


def _plan(source: Source, limit: int | None) -> tuple[dict[str, list[tuple[int, str]]], list[Dropped]]:
    """Rows of each split that are written, by number and id, and those whose id was there before."""
    repeated: list[Dropped] = []
    entries = {split: _without_repeats(source, split, repeated) for split in source.splits}
    if "validation" not in entries:
        rows = entries["train"]
        held_out = first_by_hash((name for _, name in rows), min(HELD_OUT, max(1, len(rows) // 10)), HELD_OUT_SEED)
        entries["train"] = [row for row in rows if row[1] not in held_out]
        entries["validation"] = [row for row in rows if row[1] in held_out]
    return {split: rows[:limit] for split, rows in entries.items()}, repeated


def _without_repeats(source: Source, split: str, repeated: list[Dropped]) -> list[tuple[int, str]]:
    """Rows with an id of their own; the others are added to ``repeated``."""
    first: dict[str, int] = {}
    for number, name in source.entries(split):
        if first.setdefault(name, number) != number:
            repeated.append(Dropped(split, name, "id repeated", f"row {number} has the id of an earlier row"))
    return [(number, name) for name, number in first.items()]


def _shards(split: str, rows: list[tuple[int, str]], earlier: list[_Shard]) -> list[_Shard]:
    number_of_round = earlier[-1].round + 1 if earlier else 0
    return [
        _Shard(split, number, rows[start : start + SHARD_ROWS], number_of_round)
        for number, start in enumerate(range(0, len(rows), SHARD_ROWS), start=len(earlier))
    ]


def _origin(source: Source, split: str) -> str:
    """The split of the source that a split's rows come from."""
    return split if split in source.splits else "train"


def _made(
    source: Source,
    request: Request,
    folder: Path,
    split: str,
    plan: dict[str, list[tuple[int, str]]],
    measure: Measure,
    tick: Tick,
) -> list[_Shard]:
    """Shards of the planned rows, then of those that take the places of dropped ones, until no place is left open.

    Every round follows from what the earlier ones dropped, so that a process that goes on has the same ones.
    """
    taken = {name for other, rows in plan.items() if _origin(source, other) == split for _, name in rows}
    shards: list[_Shard] = []
    rows = plan[split]
    while rows:
        shards += _shards(split, rows, shards)
        _make(source, request, folder, split, shards, measure, tick)
        rows = [] if request.limit or split not in source.splits else _instead(source, folder, split, shards, taken)
        taken.update(name for _, name in rows)
    return shards


def _instead(source: Source, folder: Path, split: str, shards: list[_Shard], taken: set[str]) -> list[tuple[int, str]]:
    dropped = [row["id"] for shard in shards for row in _drops(shard.path(folder))]
    return [row for row in source.instead(split, dropped) if row[1] not in taken]


def _rows(shards: list[_Shard]) -> list[tuple[int, str]]:
    return [row for shard in shards for row in shard.rows]


def _make(
    source: Source, request: Request, folder: Path, split: str, shards: list[_Shard], measure: Measure, tick: Tick
) -> None:
    """Makes the shards that are not there yet, reading the source once."""
    made: list[_Shard] = []
    missing: list[_Shard] = []
    for shard in shards:
        (made if shard.path(folder).is_file() else missing).append(shard)
    total, done = len(_rows(shards)), len(_rows(made))
    dropped = sum(len(_drops(shard.path(folder))) for shard in made)
    if done:
        tick(split, done, total, dropped)
    examples = source.examples(_origin(source, split), [number for number, _ in _rows(missing)])
    for shard in missing:
        these = islice(examples, len(shard.rows))
        checked = [check(each, request.name, split, measure, request.max_prompt_length) for each in these]
        if len(checked) != len(shard.rows):
            raise PrepareError(f"{source.place} ended before row {shard.rows[-1][0]} of {split}; copy it again")
        done, dropped = done + len(checked), dropped + _write(shard.path(folder), checked)
        tick(split, done, total, dropped)


def _write(path: Path, checked: list[dict[str, Any] | Dropped]) -> int:
    """Writes a shard with the rows that are kept; what was dropped goes into its metadata, and is counted."""
    drops = [asdict(row) for row in checked if isinstance(row, Dropped)]
    rows = [row for row in checked if not isinstance(row, Dropped)]
    table = pa.Table.from_pylist(rows, schema=schema.SCHEMA)
    schema.write_table(path, table.replace_schema_metadata({"dropped": json.dumps(drops)}))
    return len(drops)


def _drops(shard: Path) -> list[dict[str, str]]:
    return json.loads(pq.read_schema(shard).metadata[b"dropped"])


def _report(request: Request, folder: Path, shards: dict[str, list[_Shard]], repeated: list[Dropped]) -> dict[str, Any]:
    all_drops = [asdict(row) for row in repeated]
    splits = {}
    for split, parts in shards.items():
        files = [part.path(folder) for part in parts]
        all_drops += [row for file in files for row in _drops(file)]
        kept = sum(pq.read_metadata(file).num_rows for file in files)
        reasons = Counter(row["reason"] for row in all_drops if row["split"] == split)
        splits[split] = {"rows": kept + sum(reasons.values()), "kept": kept, "dropped": dict(reasons)}
    return {"request": request.described(), "splits": splits, "dropped": all_drops}


def _join(path: Path, folder: Path, shards: list[_Shard], request: Request, split: str) -> None:
    """The shards as one file in the source's order, one of each round in memory at a time."""
    about = {schema.PREPARATION: json.dumps({"request": request.described(), "split": split})}
    described = schema.SCHEMA.with_metadata(about)
    rounds = [_kept(folder, list(of_round)) for _, of_round in groupby(shards, key=lambda shard: shard.round)]
    rows = merge(*rounds, key=lambda row: row["extra_info"]["index"])
    with schema.atomically(path) as temporary, pq.ParquetWriter(temporary, described) as writer:
        while some := list(islice(rows, SHARD_ROWS)):
            writer.write_table(pa.Table.from_pylist(some, schema=described))


def _kept(folder: Path, shards: list[_Shard]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        yield from pq.read_table(shard.path(folder)).to_pylist()


def _kept_of(source: Source, folder: Path, shards: dict[str, list[_Shard]]) -> list[str]:
    """Ids of the rows of the source's training split that are in any file."""
    ids: list[str] = []
    for split, parts in shards.items():
        for part in parts if _origin(source, split) == "train" else ():
            about = pq.read_table(part.path(folder), columns=["extra_info"])["extra_info"]
            ids += pc.struct_field(about, "id").to_pylist()
    return ids


def _listed(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "it had none"
