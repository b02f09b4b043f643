"""Tables of trained models: the paper's numbers beside what was run here, never in one column."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from analysis.records import Measurement, RecordError
from analysis.statistics import detectable_difference, wilson_interval
from analysis.table import CAUTION, EMPTY, Group, Table, by_row, differing, empty_group, told_apart

FOLDER = Path(__file__).parent
BASELINE, OURS = "uniform", "kawhi"
METHODS = (
    "Scores are means over seeds; intervals are Wilson's over the pooled answers and leave out the spread between "
    "training seeds. Detectable differences: 95% two-sided, 80% power, unpaired two-proportion normal approximation."
)


@dataclass(frozen=True)
class Ablation:
    """A table of ``tables.yaml``."""

    name: str
    caption: str
    rows: dict[str, str]  # credit method -> label
    paper: dict[str, Any] | None

    @property
    def command(self) -> str:
        return f"python experiments/run.py -m ablation={self.name}"

    def concerns(self, measurements: list[Measurement]) -> bool:
        """Whether something beyond the two rows that every table shares was run."""
        return any(m.credit in self.rows and m.credit not in (BASELINE, OURS) for m in self.of(measurements))

    def of(self, measurements: list[Measurement]) -> list[Measurement]:
        """The measurements of its rows; the ablations are GRPO's."""
        return [m for m in measurements if m.credit in self.rows and m.algorithm == "grpo"]


@cache
def ablations() -> dict[str, Ablation]:
    """All training ablations, in the order of ``tables.yaml``."""
    content = yaml.safe_load((FOLDER / "tables.yaml").read_text(encoding="utf-8"))
    return {
        name: Ablation(name, entry["caption"], entry["rows"], content["paper"].get(entry.get("paper")))
        for name, entry in content["training"].items()
    }


@dataclass
class Cell:
    """All seeds of one row and column group."""

    seeds: list[Measurement] = field(default_factory=list)

    def add(self, new: Measurement) -> None:
        """Raises:
        RecordError: the measurement is not the same method with other seeds.
        """
        for old in self.seeds:
            files = f"{old.file} and {new.file} are one row"
            if keys := ", ".join(differing([old.method, new.method])):
                raise RecordError(f"{files} but differ in {keys}: remove one, or give it a credit.name of its own.")
            if old.seeds == new.seeds:
                raise RecordError(f"{files} with equal seeds but different hashes.")
        self.seeds.append(new)

    @property
    def score(self) -> float:
        return sum(m.score for m in self.seeds) / len(self.seeds)

    @property
    def n(self) -> int:
        return sum(m.n for m in self.seeds)

    @property
    def correct(self) -> int | None:
        """``None`` where the score is not a share of n."""
        counts = [m.correct for m in self.seeds if m.correct is not None]
        return sum(counts) if len(counts) == len(self.seeds) else None


def training_table(ablation: Ablation, measurements: list[Measurement]) -> Table:
    """One ablation; a setting in which only rows that every table shares were run is named, not shown."""
    columns: dict[tuple, list[Measurement]] = {}
    for m in ablation.of(measurements):
        columns.setdefault(m.column, []).append(m)
    ordered = [columns[key] for key in sorted(columns)]
    names = [f"{m.provenance}: {m.model}, {m.title}, {m.setting['steps']} steps" for m, *_ in ordered]
    heads = told_apart(names, [first.setting for first, *_ in ordered])
    groups = [_measured_group(ablation, *head, column) for head, column in zip(heads, ordered, strict=True)]
    own = [ablation.concerns(column) for column in ordered]
    shown = [group for group, its in zip(groups, own, strict=True) if its or not any(own)]
    left = [long for (_, long), its in zip(heads, own, strict=True) if any(own) and not its]
    left_out = f"Left out, because nothing but GRPO or KAWHI was run there: {'; '.join(left)}."
    return Table(
        name=ablation.name,
        caption=ablation.caption,
        rows=[*ablation.rows.values()],
        groups=[*_paper_groups(ablation), *(shown or [empty_group(_columns("accuracy"), len(ablation.rows))])],
        command=ablation.command,
        highlighted=[*ablation.rows].index(OURS),
        notes=(*[METHODS] * bool(shown), *[left_out] * bool(left)),
    )


def _paper_groups(ablation: Ablation) -> list[Group]:
    paper = ablation.paper
    if not paper:
        return []
    entries = yaml.safe_load((FOLDER / "paper.yaml").read_text(encoding="utf-8"))["values"]
    values = {(e["row"], e["column"]): f"{e['value']:.2f}" for e in entries if e["table"] == paper["table"]}
    rows = [paper["rows"].get(credit, label) for credit, label in ablation.rows.items()]
    cells = [tuple(values.get((row, column), EMPTY) for column in paper["columns"]) for row in rows]
    return [Group(f"paper: {paper['head']}", tuple(paper["columns"]), cells, f"paper: {paper['note']}")]


def _columns(metric: str) -> tuple[str, ...]:
    return (f"{metric.capitalize()} (%)", "vs GRPO", "95% interval", "n", "Seeds")


def _measured_group(ablation: Ablation, name: str, long: str, measurements: list[Measurement]) -> Group:
    first = measurements[0]
    cells: dict[str, Cell] = {}
    for m in measurements:
        cells.setdefault(m.credit, Cell()).add(m)
    lines = [_cell_texts(cells.get(credit), cells.get(BASELINE), credit) for credit in ablation.rows]
    note = f"{long}. {_chance_note(ablation, cells)}"
    return Group(name, _columns(first.metric), lines, note, CAUTION[first.provenance])


def _cell_texts(cell: Cell | None, baseline: Cell | None, credit: str) -> tuple[str, ...]:
    if cell is None:
        return (EMPTY,) * len(_columns(""))
    interval = EMPTY
    if cell.correct is not None:
        low, high = wilson_interval(cell.correct, cell.n)
        interval = f"[{100 * low:.2f}, {100 * high:.2f}]"
    compared = baseline if credit != BASELINE else None
    difference = f"{cell.score - compared.score:+z.2f}" if compared else EMPTY
    return f"{cell.score:.2f}", difference, interval, str(cell.n), str(len(cell.seeds))


def _chance_note(ablation: Ablation, cells: dict[str, Cell]) -> str:
    seeds = {
        c: ", ".join(" ".join(f"{k} {v}" for k, v in m.seeds.items()) for m in cell.seeds) for c, cell in cells.items()
    }
    counts = {c: str(cell.n) for c, cell in cells.items()}
    smallest = min(cell.n for cell in cells.values())
    correct = [cell.correct for cell in cells.values() if cell.correct is not None]
    if len(correct) < len(cells):
        return f"Seeds: {by_row(ablation.rows, seeds)}. n per cell: {by_row(ablation.rows, counts)}.{_time_note(cells)}"
    rate = sum(correct) / sum(cell.n for cell in cells.values())
    points = f"{100 * detectable_difference(rate, smallest):.2f} points" if 0 < rate < 1 else EMPTY
    return (
        f"Seeds: {by_row(ablation.rows, seeds)}. n per cell: {by_row(ablation.rows, counts)}. "
        f"Smallest difference detectable between two cells: {points} (n = {smallest} each, rate {100 * rate:.1f}%)."
        f"{_time_note(cells)}"
    )


def _time_note(cells: dict[str, Cell]) -> str:
    shares = [
        100 * m.kawhi_share for cell in cells.values() for m in cell.seeds if m.kawhi_share and m.credit != BASELINE
    ]
    if not shares:
        return ""
    return f" KAWHI's parts took {min(shares):.1f} to {max(shares):.1f}% of the time of a step (timing_s/kawhi_*)."
