"""Data of one's own: jsonl or parquet, with columns that are named or guessed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from kawhi.data.sources.base import Example, PrepareError, Source, text
from kawhi.data.sources.tables import Table
from kawhi.rewards.boxed import boxed_answer

NAMED = {
    "question": ("question", "problem", "prompt", "query", "instruction"),
    "answer": ("answer", "label", "ground_truth", "solution", "target"),
    "image": ("images", "image", "image_path", "image_paths", "img", "picture", "file_name"),
    "id": ("id", "qid", "question_id", "uid"),
    "choices": ("choices", "options"),
}
"""What a row has, and the names of columns that are taken for it, in this order."""

OPTIONAL = ("id", "choices")
SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""What the names of a split's files begin with."""
ENDINGS = (".jsonl", ".parquet")
LAYOUT = "one .jsonl or .parquet file, or a folder with train*.jsonl or train*.parquet and, if you like, val* and test*"


class Reader(Source):
    """A file, which is the training split, or a folder with files of each split.

    Args:
        columns: what a row has -> the name of its column; what is not named is guessed.

    Raises:
        PrepareError: no such files, or a column that is not there or cannot be guessed.
    """

    layout = LAYOUT

    def __init__(self, place: Path, columns: Mapping[str, str] | None = None) -> None:
        super().__init__(place)
        if not self._files:
            raise PrepareError(f"{place} has not the expected files: {LAYOUT}")
        self.columns = _columns(self._tables["train"].columns, columns or {}, place)

    @classmethod
    def accepts(cls, place: Path) -> bool:
        return "train" in _split_files(place)

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        return _split_files(self.place) if self.accepts(self.place) else {}

    @cached_property
    def _tables(self) -> dict[str, Table | Lines]:
        return {
            split: (Table(files, ()) if files[0].suffix == ".parquet" else Lines(files))
            for split, files in self._files.items()
        }

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._files)

    @property
    def files(self) -> list[Path]:
        return [file for files in self._files.values() for file in files]

    @property
    def about(self) -> str:
        digest = hashlib.sha256()
        for table in self._tables.values():
            for row in table.texts([self.columns["image"]]):
                for image in _listed(row[self.columns["image"]]):
                    if (path := self._path(image)) and path.is_file():
                        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        named = ", ".join(f"{what} {column}" for what, column in self.columns.items())
        return f"; columns {named}; images {digest.hexdigest()[:8]}"

    def entries(self, split: str) -> list[tuple[int, str]]:
        # Without an id any cheap column counts the rows.
        column = self.columns.get("id", self.columns["answer"])
        return [
            (number, self._id(split, number, row)) for number, row in enumerate(self._tables[split].texts([column]))
        ]

    def examples(self, split: str, numbers: Sequence[int]) -> Iterator[Example]:
        for number, row in self._tables[split].rows(numbers):
            answer = _answer(row.get(self.columns["answer"]))
            choices = row.get(self.columns.get("choices", ""))
            yield Example(
                id=self._id(split, number, row),
                number=number,
                question=text(row.get(self.columns["question"])),
                # A box that is not closed is no answer: nothing could ever be equal to it.
                answer=(boxed_answer(answer) or "") if "\\boxed" in answer else answer,
                images=tuple(self._reader(image) for image in _listed(row.get(self.columns["image"]))),
                task="own",
                choices=tuple(text(each) for each in choices) if isinstance(choices, list) else (),
            )

    def _id(self, split: str, number: int, row: dict[str, Any]) -> str:
        given = row.get(self.columns["id"]) if "id" in self.columns else None
        return f"{split}-{number:05d}" if given is None else text(given)

    def _path(self, image: Any) -> Path | None:
        """The file of an image that is none of the row itself; relative ones lie beside the data file."""
        if isinstance(image, dict):
            image = None if image.get("bytes") else image.get("path")
        if not isinstance(image, str) or not image or image.startswith("data:"):
            return None
        return (self._folder / image.removeprefix("file://")).expanduser()

    @property
    def _folder(self) -> Path:
        return self.place.parent if self.place.is_file() else self.place

    def _reader(self, image: Any) -> Callable[[], bytes]:
        path = self._path(image)
        return path.read_bytes if path else partial(_embedded, image)


class Lines:
    """Several jsonl files as one table; rows are numbered through, and a line is parsed when it is asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)
        first = next(self.texts(()), None)
        if first is None:
            raise PrepareError(f"{self.files[0]} has no line")
        self.columns = list(first)

    def texts(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """All rows; with all their columns where none are named."""
        for row in self._all():
            yield {name: row.get(name) for name in columns} if columns else row

    def rows(self, numbers: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """These rows (ascending) with their numbers."""
        wanted = set(numbers)
        yield from ((number, row) for number, row in enumerate(self._all()) if number in wanted)

    def _all(self) -> Iterator[dict[str, Any]]:
        for file in self.files:
            with file.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield _parsed(line, file, number)


def _parsed(line: str, file: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise PrepareError(f"{file}, line {number} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise PrepareError(f"{file}, line {number} is no object with a question, an answer and an image")
    return row


def _split_files(place: Path) -> dict[str, list[Path]]:
    """Files of each split; one ending for all of a split."""
    if place.is_file():
        return {"train": [place]} if place.suffix in ENDINGS else {}
    of_splits = {split: _beginning_with(prefix, place) for split, prefix in SPLITS.items()}
    if found := {split: files for split, files in of_splits.items() if files}:
        return found
    single = [file for ending in ENDINGS for file in sorted(place.glob(f"*{ending}"))]
    return {"train": single} if len(single) == 1 else {}


def _beginning_with(prefix: str, place: Path) -> list[Path]:
    patterns = (f"{folder}{prefix}*{ending}" for ending in ENDINGS for folder in ("", "data/"))
    return next(filter(None, (sorted(place.glob(pattern)) for pattern in patterns)), [])


def _columns(there: Sequence[str], named: Mapping[str, str], place: Path) -> dict[str, str]:
    """What a row has -> its column: as it is named, else the first that is called so."""
    if odd := sorted(named.keys() - NAMED.keys()):
        raise PrepareError(f"--column {odd[0]}={named[odd[0]]}: name one of {', '.join(NAMED)}")
    found = {what: named.get(what) or _guess(what, there, place) for what in NAMED}
    if missing := [what for what, column in found.items() if column and column not in there]:
        column = found[missing[0]]
        raise PrepareError(f"{place} has no column {column} for the {missing[0]}; it has {', '.join(there)}")
    return {what: column for what, column in found.items() if column}


def _guess(what: str, there: Sequence[str], place: Path) -> str:
    """A column that is called so; empty where there is none and none must be."""
    if column := next((each for each in NAMED[what] if each in there), ""):
        return column
    if what in OPTIONAL:
        return ""
    raise PrepareError(
        f"{place} has no column that looks like the {what} (it has {', '.join(there)}): name it with "
        f"--column {what}=NAME"
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _answer(value: Any) -> str:
    return ", ".join(text(each) for each in value) if isinstance(value, list) else text(value)


def _embedded(image: Any) -> bytes:
    """The bytes in a cell: as they are, in a struct, or as a data URI."""
    content = image.get("bytes") if isinstance(image, dict) else image
    if isinstance(content, str) and content.startswith("data:"):
        try:
            return base64.b64decode(content.partition(",")[2], validate=True)
        except binascii.Error as error:
            raise FileNotFoundError(f"its data URI is no base64: {error}") from error
    if not isinstance(content, bytes) or not content:
        raise FileNotFoundError("the row holds neither bytes nor a path for it")
    return content
