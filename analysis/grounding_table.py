"""The table of the grounding study: what alpha does when the model reads the same responses beside another image."""

from __future__ import annotations

from pathlib import Path

import yaml

from analysis.records import Grounding, TableError, source
from analysis.table import CAUTION, EMPTY, Group, Table, Value, by_row, empty_group, plain, told_apart

NAME = "grounding"
COMMAND = f"python experiments/run.py -m ablation={NAME}"
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
        command=COMMAND,
        notes=(content["note"],),
    )


def _group(labels: dict[str, str], name: str, long: str, records: list[Grounding]) -> Group:
    found: dict[str, Grounding] = {}
    for record in records:
        if twin := found.get(record.measured.image):
            raise TableError(f"{twin.file} and {record.file} are one row of one column but different hashes.")
        found[record.measured.image] = record
    seeds = records[0].seeds | {"study": records[0].setting.get("study.seed", EMPTY)}
    drawn = " ".join(f"{key} {value}" for key, value in seeds.items())
    paragraphs = {image: str(record.measured.paragraphs) for image, record in found.items()}
    note = f"{long}. Seeds: {drawn}. Paragraphs: {by_row(labels, paragraphs)}."
    lines = [_texts(found.get(image), f"{label}, {name}") for image, label in labels.items()]
    return Group(name, COLUMNS, lines, note, CAUTION[records[0].provenance])


def _texts(record: Grounding | None, label: str) -> tuple[Value, ...]:
    if record is None:
        return plain(*(EMPTY,) * len(COLUMNS))
    found = record.measured
    return plain(
        f"{found.alpha:z.4f}",
        f"{found.order:z.3f}",
        f"{100 * found.same_top:.1f}",
        f"{found.weight_shift:z.4f}",
        f"{found.log_prob:z.3f}",
        str(found.responses),
        source=source(label, [record], COMMAND),
    )
