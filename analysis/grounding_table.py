"""The table of the grounding study: what alpha does when the model reads the same responses beside another image."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import yaml

from analysis.records import columns, one_each, source
from analysis.table import CAUTION, EMPTY, Group, Table, Value, by_row, empty_group, empty_line, plain

NAME = "grounding"
COMMAND = f"python experiments/run.py -m ablation={NAME}"
COLUMNS = (
    *("Alpha", "Reading on top (%)", "Chance (%)"),
    *("Rank corr.", "Same top (%)", "Weight shift", "Log-prob", "n"),
)


def grounding_table(every: pd.DataFrame) -> Table:
    """A row per image, a group of columns per model and setting."""
    content = yaml.safe_load((Path(__file__).parent / "tables.yaml").read_text(encoding="utf-8"))[NAME]
    own = every[every.study == NAME]
    groups = [
        _group(content["rows"], *column)
        for column in columns(own, ["provenance", "model", "credit"], "{provenance}: {model}, {label}")
    ]
    return Table(
        name=NAME,
        caption=content["caption"],
        rows=[*content["rows"].values()],
        groups=groups or [empty_group(COLUMNS, len(content["rows"]))],
        command=COMMAND,
        notes=(content["note"],),
    )


def _group(labels: dict[str, str], name: str, long: str, rows: pd.DataFrame) -> Group:
    found, first = one_each(rows, "task"), rows.iloc[0]
    seeds = first.seeds | {"study": first.setting.get("study.seed", EMPTY)}
    drawn = " ".join(f"{key} {value}" for key, value in seeds.items())
    paragraphs = {row.task: str(row.result.paragraphs) for _, row in rows.iterrows()}
    note = f"{long}. Seeds: {drawn}. Paragraphs: {by_row(labels, paragraphs)}."
    lines = [
        _texts(found[image], f"{label}, {name}") if image in found else empty_line(len(COLUMNS))
        for image, label in labels.items()
    ]
    return Group(name, COLUMNS, lines, note, CAUTION[first.provenance])


def _texts(row: pd.DataFrame, label: str) -> tuple[Value, ...]:
    (found,) = row.result
    return plain(
        f"{found.alpha:z.4f}",
        *(EMPTY if share is None else f"{100 * share:.1f}" for share in (found.reading_top, found.reading_chance)),
        f"{found.order:z.3f}",
        f"{100 * found.same_top:.1f}",
        f"{found.weight_shift:z.4f}",
        f"{found.log_prob:z.3f}",
        str(found.responses),
        source=source(label, row, COMMAND),
    )
