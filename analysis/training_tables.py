"""Tables of trained models: the paper's numbers beside what was run here, never in one column."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis import chance
from analysis.experiment import OURS, Experiment, swept
from analysis.paper import paper_tables
from analysis.records import columns, refuse_doubles, source
from analysis.seed_words import seeds_told
from analysis.significance import detectable_difference
from analysis.table import CAUTION, EMPTY, Group, Table, Value, empty_group, empty_line, plain
from kawhi.records.folder import is_published

FOLDER = Path(__file__).parent
BASELINE = "uniform"


@dataclass(frozen=True)
class Ablation:
    """A file of ``conf/ablation``, and what ``tables.yaml`` says of it.

    Attributes:
        rows: what a row is known by, which is the credit method or the label of a row that changes it -> its word.
    """

    experiment: Experiment
    rows: dict[str, str]
    paper: dict[str, Any] | None

    @property
    def name(self) -> str:
        return self.experiment.name

    @property
    def caption(self) -> str:
        return self.experiment.caption.removesuffix(".") + (", and what was run here." if self.paper else ".")

    @property
    def command(self) -> str:
        return self.experiment.command

    def of(self, every: pd.DataFrame) -> pd.DataFrame:
        """The benchmarks of its rows, with the row in the place of the credit method."""
        trained = every[every.study == "training"]
        placed = trained.assign(credit=pd.Series(map(self._row_of, trained.config), trained.index, dtype=object))
        return placed.dropna(subset="credit")

    def _row_of(self, config: dict[str, Any]) -> str | None:
        return next((row.known_by for row in self.experiment.rows if row.trained_so(config)), None)


@cache
def ablations() -> dict[str, Ablation]:
    """All training ablations: those of ``tables.yaml`` in its order, then the others."""
    content = yaml.safe_load((FOLDER / "tables.yaml").read_text(encoding="utf-8"))
    said, found = content["training"], swept()
    return {name: _ablation(found[name], content, said.get(name) or {}) for name in dict.fromkeys([*said, *found])}


def _ablation(experiment: Experiment, content: dict[str, Any], own: dict[str, Any]) -> Ablation:
    words = content["shared"] | own.get("rows", {})
    rows = {row.known_by: words.get(row.known_by, row.label) for row in experiment.rows}
    return Ablation(experiment, rows, content["paper"].get(own.get("paper")))


def training_table(ablation: Ablation, every: pd.DataFrame) -> Table:
    """One ablation; a setting in which only rows that every table shares were run is named, not shown."""
    name = "{provenance}: {model}, {result.title}, {steps} steps"
    found = columns(ablation.of(every), ["provenance", "model", "task", "steps"], name)
    groups = [_measured_group(ablation, *column) for column in found]
    whose = {is_published(file) for *_, rows in found for file in rows.file}
    own = [
        not {*rows.credit} <= {BASELINE, OURS} or (len(whose) == 2 and not all(map(is_published, rows.file)))
        for *_, rows in found
    ]
    shown = [group for group, its in zip(groups, own, strict=True) if its or not any(own)]
    left = [long for (_, long, _), its in zip(found, own, strict=True) if any(own) and not its]
    left_out = f"Left out, because nothing but GRPO or KAWHI was run there: {'; '.join(left)}."
    rows = [*ablation.rows]
    return Table(
        name=ablation.name,
        caption=ablation.caption,
        rows=[*ablation.rows.values()],
        groups=[*_paper_groups(ablation), *(shown or [empty_group(_heads("accuracy"), len(rows))])],
        command=ablation.command,
        ours=frozenset({rows.index(OURS)}),
        notes=(*[chance.METHODS] * bool(shown), *[left_out] * bool(left)),
    )


def _paper_groups(ablation: Ablation) -> list[Group]:
    paper = ablation.paper
    if not paper:
        return []
    table = paper_tables()[paper["table"]]
    printed = {row.row: row.cells for row in table.rows}
    lines = []
    for credit, label in ablation.rows.items():
        cells = printed.get(paper["rows"].get(credit, label), {})
        shown = (cells[name].shown if name in cells else Value(EMPTY) for name in table.columns)
        lines.append(tuple(shown))
    return [Group(f"paper: {paper['head']}", table.columns, lines, f"paper: {paper['note']}")]


def _heads(metric: str) -> tuple[str, ...]:
    named = "Accuracy" if metric == "accuracy" else "Score"
    return (f"{named} (%)", "95% interval", "vs GRPO", "Interval of it", "Verdict", "n", "Seeds")


def _measured_group(ablation: Ablation, name: str, long: str, column: pd.DataFrame) -> Group:
    cells = {credit: own for credit in ablation.rows if len(own := column[column.credit == credit])}
    for own in cells.values():
        refuse_doubles(own, "are one row", "method", ", or give it a credit.name of its own")
    own_lines = {credit: chance.Line.of([*own.result]) for credit, own in cells.items()}
    bases = [None if credit == BASELINE else own_lines.get(BASELINE) for credit in ablation.rows]
    compared = chance.lines([own_lines.get(credit) for credit in ablation.rows], bases)
    lines = []
    for (credit, label), texts in zip(ablation.rows.items(), compared, strict=True):
        if credit in cells:
            where = source(f"{label}, {name}", cells[credit], ablation.command)
            lines.append(plain(*texts, str(_n(cells[credit])), str(len(cells[credit])), source=where))
        else:
            lines.append((*plain(*texts), *empty_line(2)))
    first = column.iloc[0]
    note, detail = f"{long}. {_chance_note(ablation, cells)}", _single_runs(ablation, cells)
    return Group(name, _heads(first.result.metric), lines, note, CAUTION[first.provenance], detail)


def _n(rows: pd.DataFrame) -> int:
    return sum(result.n for result in rows.result)


def _chance_note(ablation: Ablation, cells: dict[str, pd.DataFrame]) -> str:
    seeds = seeds_told({ablation.rows[credit]: [*own.seeds] for credit, own in cells.items()})
    clusters = chance.clusters_note([next(iter(cells.values())).iloc[0].result])
    return f"Seeds: {seeds}.{clusters}{_detectable(cells)}{_time_note(cells)}"


def _named(seeds: dict[str, int]) -> str:
    return " ".join(f"{name} {value}" for name, value in seeds.items())


def _detectable(cells: dict[str, pd.DataFrame]) -> str:
    """The smallest difference that two cells of one seed could show; paired where the records have items."""
    results = [result for own in cells.values() for result in own.result]
    smallest = min(result.n for result in results)
    others = [own.result.iloc[0] for credit, own in cells.items() if credit != BASELINE and BASELINE in cells]
    if paired := [*filter(None, (chance.detectable(own, cells[BASELINE].result.iloc[0]) for own in others))]:
        told = f"{max(paired):.2f} points (n = {smallest})"
        return f" Smallest difference detectable from GRPO with one seed each: {told}."
    return _unpaired(chance.rate(results), smallest)


def _unpaired(rate: float | None, n: int) -> str:
    if rate is None:
        return ""
    shown = f"{100 * detectable_difference(rate, n):.2f} points" if 0 < rate < 1 else EMPTY
    of = f"(n = {n} each, rate {100 * rate:.1f}%, unpaired)"
    return f" Smallest difference detectable between two cells: {shown} {of}."


def _single_runs(ablation: Ablation, cells: dict[str, pd.DataFrame]) -> str:
    """Runs against GRPO's run of the same seeds: what a reader of one seed would believe."""
    every = pd.concat(cells.values()).assign(same=lambda rows: rows.seeds.map(_named))
    runs, base = every[every.credit != BASELINE], every[every.credit == BASELINE]
    told = []
    for _, run in runs.merge(base[["same", "result"]], on="same", suffixes=("", "_base")).iterrows():
        if found := chance.single_runs(run.result, run.result_base):
            several = f", seed {run.seeds['rollout']}" if len(cells[run.credit]) > 1 else ""
            p_value = f"(p = {found.p_value:.2g})"
            told.append(f"{ablation.rows[run.credit]}{several} {found.ours_only} to {found.base_only} {p_value}")
    if not told:
        return ""
    return (
        f"Answers right in one run alone, against GRPO's run with the same seeds: {'; '.join(told)}; McNemar's exact "
        "test, or one of clusters where items belong together; not corrected, of runs and not of methods."
    )


def _time_note(cells: dict[str, pd.DataFrame]) -> str:
    shares = [100 * share for credit, own in cells.items() if credit != BASELINE for share in own.kawhi_share if share]
    if not shares:
        return ""
    return f" KAWHI's parts took {min(shares):.1f} to {max(shares):.1f}% of the time of a step (timing_s/kawhi_*)."
