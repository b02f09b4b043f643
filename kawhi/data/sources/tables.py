"""Parquet files of the hub, read in small batches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kawhi.data.sources.base import PrepareError

_BATCH = 64
"""Rows in memory at a time: charts have a fraction of a megabyte each."""


class Table:
    """Several parquet files as one table; rows are numbered through."""

    def __init__(self, files: Sequence[Path], columns: Sequence[str]) -> None:
        """
        Raises:
            PrepareError: a file that is no parquet file or lacks a column.
        """
        self.files = list(files)
        for file in self.files:
            try:
                names = pq.read_schema(file).names
            except (pa.ArrowException, OSError) as error:
                raise PrepareError(f"{file} cannot be read as parquet; copy or download it again") from error
            missing = [name for name in columns if name not in names]
            if missing:
                raise PrepareError(f"{file} lacks the columns {', '.join(missing)}; it has {', '.join(names)}")
        self.columns = names

    def texts(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """All rows, a few columns of them: cheap when those hold no images."""
        for file in self.files:
            for batch in pq.ParquetFile(file).iter_batches(4096, columns=list(columns)):
                yield from batch.to_pylist()

    def rows(self, numbers: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """These rows (ascending) with their numbers; row groups without one are not read."""
        first = 0
        for file in self.files:
            parquet = pq.ParquetFile(file)
            for group in range(parquet.num_row_groups):
                end = first + parquet.metadata.row_group(group).num_rows
                if bisect_left(numbers, first) < bisect_left(numbers, end):
                    yield from self._of_group(parquet, group, first, numbers)
                first = end

    @staticmethod
    def _of_group(
        parquet: pq.ParquetFile, group: int, first: int, numbers: Sequence[int]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for batch in parquet.iter_batches(_BATCH, row_groups=[group]):
            end = first + batch.num_rows
            wanted = numbers[bisect_left(numbers, first) : bisect_left(numbers, end)]
            if wanted:
                chosen = batch.take(pa.array([number - first for number in wanted]))
                yield from zip(wanted, chosen.to_pylist(), strict=True)
            first = end


def split_files(place: Path, prefixes: dict[str, str]) -> dict[str, list[Path]]:
    """Files of each split, named ``data/train-00000-of-00001.parquet`` as on the hub; one file alone is ``train``."""
    if place.is_file():
        return {"train": [place]}
    found = {
        split: sorted(place.glob(f"data/{prefix}-*.parquet")) or sorted(place.glob(f"{prefix}-*.parquet"))
        for split, prefix in prefixes.items()
    }
    return {split: files for split, files in found.items() if files}


def embedded(image: dict[str, Any] | None) -> Callable[[], bytes]:
    """Reader of an image column's cell."""
    return partial(_embedded, image or {})


def _embedded(image: dict[str, Any]) -> bytes:
    if not image.get("bytes"):
        raise FileNotFoundError("the file holds no bytes for it")
    return image["bytes"]
