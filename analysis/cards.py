"""A card for each record: what it says about its cell, as Markdown and as a page; and a list of all cards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from analysis.card import Card, card, score_text
from analysis.card_html import card_html
from analysis.card_markdown import card_markdown, escaped
from analysis.table import CAUTION
from kawhi.records.folder import Folder, is_published, origin
from kawhi.records.schema import PROVENANCES, Record

INDEX = "README.md"
MADE = "made by analysis/make_report.py"
"""Each file says it, which tells the files of this program from others in the folder."""


def card_files(read: Folder, folder: Path) -> dict[str, str]:
    """Texts by the names of their files in ``folder``, the list of all cards included."""
    files, cards = {}, {}
    for file, record in read.records.items():
        own = card(record)
        whose = ("Published record" if is_published(file) else "Your own record") if read.several else "Record"
        cards[file] = own
        link = Path(os.path.relpath(file, folder)).as_posix()
        files[f"{file.stem}.md"] = f"{card_markdown(own, link, whose)}\n<!-- {MADE} -->\n"
        files[f"{file.stem}.html"] = f"{card_html(own, link, whose)}<!-- {MADE} -->\n"
    return {**files, INDEX: index(read, cards)}


def index(read: Folder, cards: Mapping[Path, Card]) -> str:
    """All cells with their scores; a table for each provenance and study."""
    records = read.records
    lines = ["# Cells", "", *([f"Their records: {origin(records)}.", ""] if read.several else [])]
    if not records:
        lines += ["There are no records.", ""]
    for provenance in PROVENANCES:
        caution = f" ({CAUTION[provenance]})" if CAUTION[provenance] else ""
        for study in dict.fromkeys(r.study for r in records.values()):  # type: ignore[attr-defined]
            own = [f for f, r in records.items() if (r.provenance, r.study) == (provenance, study)]  # type: ignore[attr-defined]
            if own:
                lines += [f"## {provenance}: {study}{caution}", "", *_rows(own, records, cards), ""]
    return "\n".join([*lines, f"<!-- {MADE} -->", ""])


def _rows(files: list[Path], records: Mapping[Path, Record], cards: Mapping[Path, Card]) -> list[str]:
    rows = ["| cell | model | algorithm | credit | data | steps | seeds | result |", "| --- " * 8 + "|"]
    for file in files:
        own = cards[file]
        cell = f"[{escaped(records[file].cell.name)}](<{file.stem}.md>)"
        texts = [own.model, own.algorithm, own.method, own.data, own.steps, own.seeds]
        result = "<br>".join(escaped(score_text(each)) for each in own.results.values()) or escaped(own.result)
        rows.append(f"| {' | '.join([cell, *map(escaped, texts), result])} |")
    return rows
