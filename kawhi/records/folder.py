"""A folder of records: those that can be used, and a sentence for each that cannot."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kawhi.records.contradictions import contradictions
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
    """``records``: by file, sorted by name."""

    records: dict[Path, Record]
    refused: list[Refused]


class RecordError(ValueError):
    """A record that cannot be used; its text is the reason."""


def read_folder(folder: Path) -> Folder:
    """Every ``*.json`` of a folder; an empty or missing folder has none.

    A cell that two files claim is used from neither: nobody can tell which of them is right.
    """
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
