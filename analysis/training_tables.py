"""Tables of trained models: the paper's numbers beside what was run here, never in one column."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from analysis import chance
from analysis.paper import Printed, paper_tables
from analysis.records import Measurement, TableError, canonical, source
from analysis.significance import detectable_difference, detectable_paired_difference
from analysis.table import (
    CAUTION,
    EMPTY,
    Group,
    Source,
    Table,
    Value,
    by_row,
    differing,
    empty_group,
    plain,
    told_apart,
)
from kawhi.records.schema import Benchmark

FOLDER = Path(__file__).parent
BASELINE, OURS = "uniform", "kawhi"


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
        TableError: the measurement is not the same method with other seeds.
        """
        for old in self.seeds:
            files = f"{old.file} and {new.file} are one row"
            if keys := ", ".join(differing([old.method, new.method])):
                raise TableError(f"{files} but differ in {keys}: remove one, or give it a credit.name of its own.")
            if old.seeds == new.seeds:
                raise TableError(f"{files} with equal seeds but different hashes: remove one.")
        self.seeds.append(new)

    @property
    def results(self) -> list[Benchmark]:
        return [m.result for m in self.seeds]

    @property
    def n(self) -> int:
        return sum(result.n for result in self.results)


def training_table(ablation: Ablation, every: list[Measurement]) -> Table:
    """One ablation; a setting in which only rows that every table shares were run is named, not shown."""
    columns: dict[tuple, list[Measurement]] = {}
    for m in ablation.of(every):
        columns.setdefault(m.column, []).append(m)
    ordered = [columns[key] for key in sorted(columns)]
    names = [f"{m.provenance}: {m.model}, {m.result.title}, {m.setting['steps']} steps" for m, *_ in ordered]
    heads = told_apart(names, [first.setting for first, *_ in ordered])
    groups = [_measured_group(ablation, *head, column) for head, column in zip(heads, ordered, strict=True)]
    own = [ablation.concerns(column) for column in ordered]
    shown_groups = [group for group, its in zip(groups, own, strict=True) if its or not any(own)]
    left = [long for (_, long), its in zip(heads, own, strict=True) if any(own) and not its]
    left_out = f"Left out, because nothing but GRPO or KAWHI was run there: {'; '.join(left)}."
    rows = [*ablation.rows]
    return Table(
        name=ablation.name,
        caption=ablation.caption,
        rows=[*ablation.rows.values()],
        groups=[*_paper_groups(ablation), *(shown_groups or [empty_group(_columns("accuracy"), len(rows))])],
        command=ablation.command,
        ours=frozenset({rows.index(OURS)}),
        notes=(*[chance.METHODS] * bool(shown_groups), *[left_out] * bool(left)),
    )


def _paper_groups(ablation: Ablation) -> list[Group]:
    paper = ablation.paper
    if not paper:
        return []
    table = paper_tables()[paper["table"]]
    cells = []
    for credit, label in ablation.rows.items():
        named = [row for row in table.rows if row.row == paper["rows"].get(credit, label)]
        cells.append(tuple(_printed(named[0].cells.get(column)) if named else Value(EMPTY) for column in table.columns))
    return [Group(f"paper: {paper['head']}", table.columns, cells, f"paper: {paper['note']}")]


def _printed(cell: Printed | None) -> Value:
    return Value(EMPTY) if cell is None else Value(cell.text, source=Source("as printed", place=cell.place))


def _columns(metric: str) -> tuple[str, ...]:
    named = "Accuracy" if metric == "accuracy" else "Score"
    return (f"{named} (%)", "95% interval", "vs GRPO", "Interval of it", "Verdict", "n", "Seeds")


def _measured_group(ablation: Ablation, name: str, long: str, column: list[Measurement]) -> Group:
    first = column[0]
    cells: dict[str, Cell] = {}
    for m in column:
        cells.setdefault(m.credit, Cell()).add(m)
    base = cells.get(BASELINE)
    against = {
        credit: chance.compared(cell.results, base.results) if base and credit != BASELINE else None
        for credit, cell in cells.items()
    }
    words = dict(zip(cells, chance.verdicts(list(against.values()), [True] * len(cells)), strict=True))
    lines = []
    for credit, label in ablation.rows.items():
        if (cell := cells.get(credit)) is None:
            lines.append(plain(*(EMPTY,) * 4, chance.NOT_RUN, EMPTY, EMPTY))
            continue
        gap = chance.score(cell.results) - chance.score(base.results) if base and credit != BASELINE else None
        texts = (
            f"{chance.score(cell.results):.2f}",
            chance.shown(chance.interval(cell.results)),
            EMPTY if gap is None else f"{gap:+z.2f}",
            chance.shown_difference(against[credit])[1],
            words[credit],
            str(cell.n),
            str(len(cell.seeds)),
        )
        lines.append(plain(*texts, source=source(f"{label}, {name}", cell.seeds, ablation.command)))
    note = f"{long}. {_chance_note(ablation, cells)}"
    return Group(name, _columns(first.result.metric), lines, note, CAUTION[first.provenance])


def _chance_note(ablation: Ablation, cells: dict[str, Cell]) -> str:
    seeds = {
        c: ", ".join(" ".join(f"{k} {v}" for k, v in m.seeds.items()) for m in cell.seeds) for c, cell in cells.items()
    }
    counts = {c: str(cell.n) for c, cell in cells.items()}
    told = f"Seeds: {by_row(ablation.rows, seeds)}. n per cell: {by_row(ablation.rows, counts)}."
    return f"{told}{_detectable(cells)}{_single_runs(ablation, cells)}{_time_note(cells)}"


def _detectable(cells: dict[str, Cell]) -> str:
    """The smallest difference that two cells of one seed could show; paired where the records have items."""
    smallest = min(result.n for cell in cells.values() for result in cell.results)
    base = cells.get(BASELINE)
    spreads = [chance.discordance(cell.results, base.results) for c, cell in cells.items() if base and c != BASELINE]
    paired = [spread for spread in spreads if spread]
    if paired:
        points = 100 * detectable_paired_difference(max(paired), smallest)
        return f" Smallest difference detectable from GRPO with one seed each: {points:.2f} points (n = {smallest})."
    correct = [result.correct for cell in cells.values() for result in cell.results]
    if None in correct:
        return ""
    rate = sum(c or 0 for c in correct) / sum(cell.n for cell in cells.values())
    shown = f"{100 * detectable_difference(rate, smallest):.2f} points" if 0 < rate < 1 else EMPTY
    return (
        f" Smallest difference detectable between two cells: {shown} (n = {smallest} each, rate {100 * rate:.1f}%, "
        "unpaired)."
    )


def _single_runs(ablation: Ablation, cells: dict[str, Cell]) -> str:
    """Runs against GRPO's run of the same seeds: what a reader of one seed would believe."""
    base = {canonical(m.seeds): m.result for m in cells[BASELINE].seeds} if BASELINE in cells else {}
    told = []
    for credit, label in ablation.rows.items():
        for m in cells[credit].seeds if credit in cells and credit != BASELINE else []:
            twin = base.get(canonical(m.seeds))
            if twin and (found := chance.single_runs(m.result, twin)):
                several = f", seed {m.seeds['rollout']}" if len(cells[credit].seeds) > 1 else ""
                told.append(f"{label}{several} {found.ours_only} to {found.base_only} (p = {found.p_value:.2g})")
    if not told:
        return ""
    return (
        f" Answers right in one run alone, against GRPO's run with the same seeds: {'; '.join(told)}; McNemar's exact "
        "test, not corrected, of runs and not of methods."
    )


def _time_note(cells: dict[str, Cell]) -> str:
    shares = [
        100 * m.kawhi_share for cell in cells.values() for m in cell.seeds if m.kawhi_share and m.credit != BASELINE
    ]
    if not shares:
        return ""
    return f" KAWHI's parts took {min(shares):.1f} to {max(shares):.1f}% of the time of a step (timing_s/kawhi_*)."
