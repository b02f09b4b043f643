"""What the report says, before it is LaTeX or HTML: facts, parts with tables, figures, what is missing."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis import chance, methods
from analysis import efficiency_table as efficiency
from analysis import grounding_table as grounding
from analysis.collapse import collapsed
from analysis.compared_table import COMPARED, PRINTED_NOTE
from analysis.make_tables import SHORT, make_tables
from analysis.paper_checks import discrepancies
from analysis.paper_layout import layouts
from analysis.paper_table import BASE_NOTE
from analysis.seed_words import seeds_told
from analysis.table import EMPTY, Group, Table, Value, plain
from analysis.training_tables import ablations
from kawhi.records.folder import Folder, origin, record_name
from kawhi.records.schema import PROVENANCES, Record, Run

TITLE = "KAWHI and ToR: as printed and as run here"
OVERVIEW = "overview"
FURTHER = "Further tables"
SHARED = (chance.METHODS, BASE_NOTE, PRINTED_NOTE)
"""Notes that stand once, not below each table."""
NO_FIGURES = "None was drawn; python analysis/make_figures.py draws them."
READING = (
    (
        "Provenance",
        "A number is of one of three kinds, and no column has two. Paper: as printed, with the line of the table. "
        "Measured: run here with the paper's models at full scale. Tiny: run in the CPU world, which has models of one "
        "to two million parameters and drawn images. Tiny shows that every part works and what it does there; it is "
        "not comparable with the paper.",
    ),
    (
        "Dashes",
        "An en dash stands where there is no number: the paper prints none, or the cell was not run. Of a group "
        "of columns, or of a row, in which nothing was run only the note below the table is left.",
    ),
    (
        "Signs",
        "Bold is the best of its column among rows that may be compared. Grey rows are the method that the table is "
        "about. A subscript is the difference from the row that the paper takes it from, in the paper's columns as "
        "the paper prints it.",
    ),
    ("Sources", "Every number is a link to the command that made it and to its record."),
)
_PARTS = {
    "KAWHI": "The KAWHI paper, tables 1 to 3. In the paper's form first, then, where something was run at full scale, "
    "number by number.",
    "ToR": "The ToR paper, tables 1 to 5, in the same way.",
    "Ablations": "One table for each file of conf/ablation, beside the paper's numbers where it prints them.",
    "Costs": "What each credit method does to the weights, and how long its parts and a step with it take.",
    "Grounding": "Whether the alignment depends on the image.",
    FURTHER: "",
}
_TITLES = {
    "KAWHI": "Tables of the KAWHI paper",
    "ToR": "Tables of the ToR paper",
    "Costs": "Costs of the credit methods",
}


@dataclass(frozen=True)
class Part:
    """Tables of one kind; ``absent``: a sentence and a command for those that would have no number of their own."""

    title: str
    text: str
    tables: list[Table]
    absent: list[tuple[str, str]]


@dataclass(frozen=True)
class Picture:
    """A figure that lies in the figures' folder as ``<name>.pdf`` and ``.png``; ``records``: their files."""

    name: str
    title: str
    caption: str
    command: str
    records: tuple[Path, ...]
    folder: Path

    @property
    def anchor(self) -> str:
        """Unique beside those of the tables."""
        return f"figure-{self.name}"

    def file(self, kind: str) -> Path:
        return self.folder / f"{self.name}.{kind}"


@dataclass(frozen=True)
class Report:
    """Everything but its form.

    Attributes:
        facts: about the records, without dates.
        notes: those of :data:`SHARED` that a table has.
        left_out: records and tables that were refused, and figures without a file.
        read: the records.
    """

    facts: dict[str, str]
    notes: list[str]
    parts: list[Part]
    pictures: list[Picture]
    disagreements: list[str]
    left_out: list[str]
    read: Folder

    @property
    def tables(self) -> list[Table]:
        """All, in order."""
        return [table for part in self.parts for table in part.tables]


def gather(read: Folder, figures: Path, names: Iterable[str] = ()) -> Report:
    """The report of the records that were read.

    Args:
        figures: the folder of ``make_figures.py``; the report has those of its ``captions.json``.
        names: of tables; without, all of ``make_tables.py``.
    """
    tables, refused = make_tables(read.records, [SHORT.get(name, name) for name in names])
    pictures, lost = _pictures(figures)
    left_out = [f"{record_name(each.file)}: {each.reason}" for each in read.refused] + refused + lost
    shared = [note for note in SHARED if any(note in table.notes for table in tables)]
    own = [_shortened(table, shared) for table in tables]
    return Report(
        facts=_facts(read),
        notes=shared,
        parts=_parts(own),
        pictures=pictures,
        disagreements=discrepancies(),
        left_out=[_without_folders(text, read) for text in left_out],
        read=read,
    )


def _without_folders(text: str, read: Folder) -> str:
    """A report names no folder of a machine."""
    for folder in read.folders:
        text = text.replace(f"{folder}/", record_name(folder / "x").removesuffix("x"))
    return text


def _parts(tables: list[Table]) -> list[Part]:
    found = [Part("What was run", "", [_overview(tables)], [])]
    for key, text in _PARTS.items():
        own = [table for table in tables if _kind(table.name) == key]
        if own:
            shown = [table for table in own if _worth_showing(table)]
            absent = _absent([table for table in own if table not in shown])
            found.append(Part(_TITLES.get(key, key), text, [*map(collapsed, shown)], absent))
    return found


def _shortened(table: Table, shared: list[str]) -> Table:
    """Without shared notes."""
    return dataclasses.replace(table, notes=tuple(note for note in table.notes if note not in shared))


def _kind(name: str) -> str:
    base = name.removesuffix(COMPARED)
    if base in layouts() and (paper := layouts()[base].paper):
        return paper.paper
    if base in ablations():
        return "Ablations"
    return {methods.NAME: "Costs", efficiency.NAME: "Costs", grounding.NAME: "Grounding"}.get(base, FURTHER)


def _worth_showing(table: Table) -> bool:
    """A comparison without a number of ours repeats the paper's table; any other without a number says nothing."""
    groups = table.groups[1:] if table.name.endswith(COMPARED) else table.groups
    return any(group.numbers for group in groups)


def _absent(tables: list[Table]) -> list[tuple[str, str]]:
    papers = [layouts()[t.name.removesuffix(COMPARED)].paper for t in tables if t.name.endswith(COMPARED)]
    places = [paper.place for paper in papers if paper]
    found = []
    if places:
        found.append((f"Nothing was run at full scale, so there is no comparison with {'; '.join(places)}.", ""))
    for table in tables:
        if not table.name.endswith(COMPARED):
            found.append((f"{table.caption.rstrip('.')}: nothing was run. The command for it:", table.command))
    return found


def _overview(tables: list[Table]) -> Table:
    """How many rows of each table have a number, by provenance."""
    own = [table for table in tables if not table.name.endswith(COMPARED)]
    return Table(
        name=OVERVIEW,
        caption="How many rows of each table have a number",
        rows=[table.caption.rstrip(".") for table in own],
        groups=[Group("rows", ("All", "Paper", "Measured", "Tiny"), [_counts(table) for table in own], "")],
        command="python analysis/make_report.py",
        notes=("Of several groups of columns of one kind, the one with the most rows counts.",),
        title="Table",
    )


def _counts(table: Table) -> tuple[Value, ...]:
    most = [
        max((group.numbers for group in table.groups if group.name.partition(":")[0] == kind), default=0)
        for kind in ("paper", *PROVENANCES)
    ]
    return plain(str(len(table.rows)), *(str(count) if count else EMPTY for count in most))


def _pictures(folder: Path) -> tuple[list[Picture], list[str]]:
    """The figures of ``captions.json``, and a sentence for each that cannot be shown."""
    file = folder / "captions.json"
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [], []
    except ValueError as error:
        return [], [f"no figures: {file.name} cannot be read: {error}"]
    found, lost = [], []
    for name, entry in content.items():
        own = Picture(
            name=name,
            title=entry.get("title", name),
            caption=entry["caption"],
            command=entry["command"],
            records=tuple(folder / record for record in entry["records"]),
            folder=folder,
        )
        missing = [kind for kind in ("pdf", "png") if not own.file(kind).is_file()]
        if missing:
            lost.append(f"no figure {name}: there is no {' and no '.join(own.file(kind).name for kind in missing)}")
        else:
            found.append(own)
    return found, lost


def _facts(read: Folder) -> dict[str, str]:
    """What is known of all records together; the order of the files does not matter."""
    every = list(read.records.values())
    runs = [record.run for record in every]
    hours = _known(run.gpu_hours for run in runs)
    seconds = _known(run.duration_s for run in runs)
    return {
        "Records": f"{len(every)}: {', '.join(_counted(every))}" if every else "none",
        **({"Whose": origin(read.records)} if read.several else {}),
        "Models": _listed(f"{r.model.name} (weights {r.model.weights[:8]})" for r in every),
        "Seeds": seeds_told({"": [seeds for record in every if (seeds := _seeds(record))]}) or EMPTY,
        "Versions": _listed(_versions(runs)),
        "Hardware": _listed(run.hardware for run in runs),
        "Time": f"{sum(seconds) / 3600:.1f} hours of {len(seconds)} records" if seconds else EMPTY,
        "GPU hours": f"{sum(hours):.1f} of {len(hours)} records" if hours else EMPTY,
    }


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _versions(runs: list[Run]) -> list[str]:
    """All versions of each package."""
    every = sorted({pair for run in runs for pair in run.versions.items()})
    packages = itertools.groupby(every, key=lambda pair: pair[0])
    return [f"{name} {' and '.join(version for _, version in found)}" for name, found in packages]


def _counted(every: Sequence[Any]) -> list[str]:
    """How many there are of each provenance and study."""
    found = []
    for kind in PROVENANCES:
        if own := Counter(record.study for record in every if record.provenance == kind):
            studies = ", ".join(f"{count} {study}" for study, count in sorted(own.items()))
            found.append(f"{sum(own.values())} {kind} ({studies})")
    return found


def _seeds(record: Record) -> dict[str, int]:
    seeds = getattr(record, "seeds", None)
    return {} if seeds is None else seeds.model_dump(exclude_none=True)


def _listed(texts: Iterable[str]) -> str:
    return "; ".join(sorted({text for text in texts if text})) or EMPTY
