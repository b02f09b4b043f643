"""Folders of records: those that can be used, a sentence for each that cannot, and whose they are."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kawhi.records.contradictions import contradictions
from kawhi.records.join import joined, orphans
from kawhi.records.schema import STUDIES, VERSION, Record


@dataclass(frozen=True)
class Refused:
    """A file that is not used, and why, as a sentence without a full stop."""

    file: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


@dataclass(frozen=True)
class Folder:
    """What is in one folder, or in several that are read together.

    Attributes:
        records: by file, sorted by name.
        folders: that were read.
        twice: sound records that are not used, because a folder before theirs has the same cell.
    """

    records: dict[Path, Record]
    refused: list[Refused]
    folders: tuple[Path, ...] = ()
    twice: tuple[Path, ...] = ()

    def joined(self) -> Folder:
        """Trainings with their evaluations (:func:`kawhi.records.join.joined`).

        An evaluation whose training has no record is among the refused.
        """
        reason = "the training that it is an evaluation of has no record"
        alone = [Refused(file, reason) for file in orphans(self.records)]
        return replace(self, records=joined(self.records), refused=[*self.refused, *alone])

    @property
    def several(self) -> bool:
        """Whether it has to be told from which folder a record is."""
        return len(self.folders) > 1

    def summary(self) -> str:
        """Whose records these are, and how many are not used because a cell counts once."""
        unused = f"; published and not used, because yours of the same cell counts: {len(self.twice)}"
        return f"records: {origin(self.records)}{unused if self.twice else ''}"


class RecordError(ValueError):
    """A record that cannot be used; its text is the reason."""


def is_published(file: Path) -> bool:
    """Whether a record is in ``results/published/records``, of this checkout or of another one."""
    return file.absolute().parent.parts[-2:] == ("published", "records")


def record_name(file: Path) -> str:
    """What a record is called where no link says its folder."""
    return f"published/{file.name}" if is_published(file) else file.name


def origin(files: Collection[Path]) -> str:
    """``24 published, 5 of your own``."""
    published = sum(map(is_published, files))
    return f"{published or 'none'} published, {len(files) - published or 'none'} of your own"


def read_folder(*folders: Path) -> Folder:
    """Every ``*.json`` of some folders; an empty or missing folder has none.

    A cell that two files of a folder claim is used from neither: nobody can tell which of them is right.  Of a cell
    (and of a file's name) that two folders have, the record of the first one is used.
    """
    records: dict[Path, Record] = {}
    refused: list[Refused] = []
    twice: list[Path] = []
    for found in map(_read_one, folders):
        taken = {name for file, record in records.items() for name in (file.name, record.cell.hash)}
        again = [file for file, record in found.records.items() if taken & {file.name, record.cell.hash}]
        records |= {file: record for file, record in found.records.items() if file not in again}
        refused += found.refused
        twice += again
    by_name = dict(sorted(records.items(), key=lambda pair: pair[0].name))
    return Folder(by_name, refused, folders, tuple(twice))


def _read_one(folder: Path) -> Folder:
    """As :func:`read_folder`, of one."""
    records: dict[Path, Record] = {}
    refused: list[Refused] = []
    for file in sorted(folder.glob("*.json")):
        try:
            records[file] = read_record(file)
        except RecordError as error:
            refused.append(Refused(file, str(error)))
    claims: dict[str, list[Path]] = defaultdict(list)
    for file, record in records.items():
        claims[record.cell.hash].append(file)
    for cell, files in claims.items():
        if len(files) > 1:
            for file in files:
                others = ", ".join(other.name for other in files if other != file)
                refused.append(Refused(file, f"it is the same cell ({cell}) as {others}: remove all but one"))
                del records[file]
    return Folder(records, sorted(refused, key=lambda each: each.file))


def read_record(file: Path) -> Record:
    """One record, checked against its schema and against itself.

    Raises:
        RecordError: it cannot be used.
    """
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text)
    except (OSError, ValueError) as error:
        raise RecordError(f"it cannot be read: {error}") from error
    return parse_record(content, text)


def parse_record(content: Any, text: str | None = None) -> Record:
    """As :func:`read_record`, of what a file holds; ``text`` is its JSON, where it is at hand."""
    if not isinstance(content, dict):
        raise RecordError("it is no record: not a JSON object")
    if content.get("schema") != VERSION:
        raise RecordError(f"the schema version is {content.get('schema')!r}; this program knows {VERSION}")
    if content.get("study") not in STUDIES:
        raise RecordError(f"its study is {content.get('study')!r}; known are {', '.join(STUDIES)}")
    try:
        record = STUDIES[content["study"]].model_validate_json(text or json.dumps(content))
    except ValidationError as error:
        raise RecordError(_sentence(error)) from error
    if found := contradictions(record):
        raise RecordError("; ".join(found))
    return record


def _sentence(error: ValidationError) -> str:
    """The first three findings, each with its place."""
    parts = []
    for each in error.errors()[:3]:
        place = ".".join(str(key) for key in each["loc"])
        given = each.get("input")
        shown = f" ({given!r})" if isinstance(given, str | int | float | bool) or given is None else ""
        words = each["msg"].removeprefix("Value error, ")
        parts.append(f"{place}: {words[0].lower()}{words[1:]}{shown if each['type'] != 'missing' else ''}")
    more = error.error_count() - len(parts)
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")
