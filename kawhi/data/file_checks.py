"""Every row of a parquet file against the checks of :mod:`kawhi.data.example_checks`; those that fail are named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kawhi.base.errors import CellError
from kawhi.data.example_checks import Measure, Size, Unfit, image_sizes, refuse_length, refuse_row

COLUMNS = ("data_source", "prompt", "images", "reward_model")
"""What verl reads of a row; ``extra_info`` may be there, too."""

NAMED = 5
"""Rows that one sentence names; the log has all of them."""

_BATCH = 64
"""Rows in memory at a time: a data set of photographs does not fit into it."""

Tick = Callable[[int, int], None]
"""Told now and then: rows done, rows in all."""


def check_file(
    path: Path,
    measure: Measure | None = None,
    max_prompt_length: int = 0,
    *,
    mend: str = "mend or drop them",
    tick: Tick = lambda done, rows: None,
) -> int:
    """Number of rows of a file, all of which training can use.  Every one is read, and its images to the last pixel.

    Args:
        measure: of the model that is trained; without one neither lengths nor the tokenizer's own tokens are checked.
        max_prompt_length: in tokens.
        mend: what the user can do about rows that are refused.

    Raises:
        CellError: no parquet file, other columns, or rows that cannot be trained on, which it names.
    """
    refused = list(_refused(_open(path), measure, max_prompt_length, tick))
    rows = pq.read_metadata(path).num_rows
    if refused:
        for each in refused:
            print(f"{path}: {each}")
        more = f"; and {len(refused) - NAMED} more, all in the log of this stage" if len(refused) > NAMED else ""
        named = "; ".join(refused[:NAMED])
        raise CellError(f"{path}: {len(refused)} of {rows} rows cannot be trained on: {named}{more}; {mend}")
    return rows


def _open(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise CellError(f"{path} cannot be read as parquet ({error}); copy or make it again") from error
    found = file.schema_arrow.names
    if missing := [name for name in COLUMNS if name not in found]:
        raise CellError(
            f"{path} lacks the columns {', '.join(missing)}: {', '.join(COLUMNS)} are expected, and it has "
            f"{', '.join(found) or 'none'}"
        )
    return file


def _refused(file: pq.ParquetFile, measure: Measure | None, most: int, tick: Tick) -> Iterator[str]:
    """A clause for each row that cannot be trained on."""
    columns = [*COLUMNS, *({"extra_info"} & set(file.schema_arrow.names))]
    rows, done = file.metadata.num_rows, 0
    # Images are decoded side by side, which is most of the work; a tokenizer is not for several threads.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for batch in file.iter_batches(_BATCH, columns=columns):
            these = batch.to_pylist()
            sizes = [pool.submit(image_sizes, row) for row in these]
            for row, of_row in zip(these, sizes, strict=True):
                try:
                    _check(row, of_row, measure, most)
                except Unfit as why:
                    yield f"{_name(done, row)}: {why.detail}"
                done += 1
            tick(done, rows)


def _check(row: dict[str, Any], sizes: Future[list[Size]], measure: Measure | None, most: int) -> None:
    messages = refuse_row(row, measure.special if measure else ())
    measured = sizes.result()
    if measure:
        refuse_length(messages, measured, measure, most)


def _name(number: int, row: dict[str, Any]) -> str:
    about = row.get("extra_info")
    name = about.get("id") if isinstance(about, dict) else None
    return f"row {number}" if name is None else f"row {number} (id {' '.join(str(name).split())})"
