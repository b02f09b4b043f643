"""The table of the grounding study: what alpha does when the model reads the same responses beside another image."""

from __future__ import annotations

from pathlib import Path

import yaml

from analysis.records import Grounding, RecordError
from analysis.table import CAUTION, EMPTY, Group, Table, by_row, empty_group, told_apart

NAME = "grounding"
COLUMNS = ("Alpha", "Rank correlation", "Same top paragraph (%)", "Weight shift", "Log-prob per token", "Responses")


def grounding_table(records: list[Grounding]) -> Table:
    """A row per image, a group of columns per model and setting."""
    content = yaml.safe_load((Path(__file__).parent / "tables.yaml").read_text(encoding="utf-8"))[NAME]
    columns: dict[tuple, list[Grounding]] = {}
    for record in records:
        columns.setdefault(record.column, []).append(record)
    ordered = [columns[key] for key in sorted(columns)]
    names = [f"{first.provenance}: {first.model}, {first.label}" for first, *_ in ordered]
    heads = told_apart(names, [first.setting for first, *_ in ordered])
    groups = [_group(content["rows"], *head, column) for head, column in zip(heads, ordered, strict=True)]
    return Table(
        name=NAME,
        caption=content["caption"],
        rows=[*content["rows"].values()],
        groups=groups or [empty_group(COLUMNS, len(content["rows"]))],
        command=f"python experiments/run.py -m ablation={NAME}",
        notes=(content["note"],),
    )


def _group(labels: dict[str, str], name: str, long: str, records: list[Grounding]) -> Group:
    found: dict[str, Grounding] = {}
    for record in records:
        if twin := found.get(record.image):
            raise RecordError(f"{twin.file} and {record.file} are one row of one column but different hashes.")
        found[record.image] = record
    seeds = records[0].seeds | {"study": records[0].setting.get("study.seed", EMPTY)}
    drawn = " ".join(f"{key} {value}" for key, value in seeds.items())
    paragraphs = {image: str(record.paragraphs) for image, record in found.items()}
    note = f"{long}. Seeds: {drawn}. Paragraphs: {by_row(labels, paragraphs)}."
    lines = [_texts(found.get(image)) for image in labels]
    return Group(name, COLUMNS, lines, note, CAUTION[records[0].provenance])


def _texts(record: Grounding | None) -> tuple[str, ...]:
    if record is None:
        return (EMPTY,) * len(COLUMNS)
    return (
        f"{record.alpha:z.4f}",
        f"{record.order:z.3f}",
        f"{100 * record.same_top:.1f}",
        f"{record.weight_shift:z.4f}",
        f"{record.log_prob:z.3f}",
        str(record.responses),
    )
