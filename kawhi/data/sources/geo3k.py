"""Geometry3K, as verl's examples use it: 2,101 training, 300 validation and 601 test problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from kawhi.data.sources.base import Example, Source, text
from kawhi.data.sources.tables import Table, embedded, split_files

_PREFIXES = {"train": "train", "validation": "validation", "test": "test"}
_COLUMNS = ("images", "problem", "answer")


class Reader(Source):
    """Columns ``images`` (list), ``problem`` (with ``<image>``), ``answer``; later ``id`` and ``choices``.

    The choices are left out: the model does not see them, so a letter must not be an answer.
    """

    repository = "hiyouga/geometry3k"
    revision = "fd21e533e1e50d0662a2bf7b223e60511bd5f8b7"
    whole = 2101
    patterns = ("data/*.parquet",)
    layout = "data/train-*.parquet, data/validation-*.parquet and data/test-*.parquet, or one parquet file"

    @classmethod
    def accepts(cls, place: Path) -> bool:
        return place.is_file() or {"train", "validation"} <= set(split_files(place, _PREFIXES))

    @cached_property
    def _tables(self) -> dict[str, Table]:
        return {split: Table(files, _COLUMNS) for split, files in split_files(self.place, _PREFIXES).items()}

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._tables)

    @property
    def files(self) -> list[Path]:
        return [file for table in self._tables.values() for file in table.files]

    def entries(self, split: str) -> list[tuple[int, str]]:
        table = self._tables[split]
        column = "id" if "id" in table.columns else "answer"
        return [(number, _name(split, number, row)) for number, row in enumerate(table.texts([column]))]

    def examples(self, split: str, numbers: Sequence[int]) -> Iterator[Example]:
        for number, row in self._tables[split].rows(numbers):
            yield Example(
                id=_name(split, number, row),
                number=number,
                question=text(row["problem"]),
                answer=text(row["answer"]),
                images=tuple(embedded(image) for image in row["images"] or ()),
                task="geometry",
            )


def _name(split: str, number: int, row: dict[str, Any]) -> str:
    given = row.get("id")
    return f"{split}-{number:05d}" if given is None else f"{split}-{given}"
