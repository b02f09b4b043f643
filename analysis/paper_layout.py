"""How a table of ``conf/experiment`` and one of a paper fit together, and what was run of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from analysis import chance
from analysis.experiment import Experiment, Setting, experiments
from analysis.paper import PaperTable, paper_tables
from analysis.records import source
from analysis.seed_words import seeds_told
from analysis.significance import detectable_difference
from analysis.table import Source
from kawhi.records.schema import Benchmark


@dataclass(frozen=True)
class Layout:
    """The lines and columns of a table; with a paper's as ``papers`` of ``tables.yaml`` says.

    Attributes:
        paper: ``None`` where no paper prints it.
        columns: column -> task; none without a paper, for the scale says which benchmarks there are.
        mean: the column of the benchmarks' mean; empty where there is none.
        delta: ``untrained`` or a credit method: the row that subscripts are differences from; empty for none.
        rows: for each line the number of the experiment's row.
    """

    experiment: Experiment
    paper: PaperTable | None
    columns: dict[str, str]
    mean: str
    delta: str
    rows: tuple[int | None, ...]

    @property
    def labels(self) -> list[str]:
        """Of the lines."""
        return [line.row for line in self.paper.rows] if self.paper else [row.label for row in self.experiment.rows]

    @property
    def caption(self) -> str:
        paper = self.paper
        return f"{paper.paper}, {paper.place}: {paper.title}" if paper else self.experiment.caption

    @property
    def blocks(self) -> dict[int, str]:
        """Where a block of the paper's table begins."""
        named = [line.block for line in self.paper.rows] if self.paper else []
        return {i: name for i, name in enumerate(named) if name and (i == 0 or named[i - 1] != name)}

    @property
    def ours(self) -> frozenset[int]:
        """Lines of the method that the table is about."""
        method = "tor" if self.experiment.name.startswith("tor") else "kawhi"
        rows = [self.experiment.rows[row].method if row is not None else "" for row in self.rows]
        return frozenset(i for i, own in enumerate(rows) if own == method)

    @property
    def comparable(self) -> list[str]:
        """Equal for lines among which the best is marked: a block of the table, or one model's rows."""
        blocks = [line.block for line in self.paper.rows] if self.paper and self.paper.key != "kawhi_3" else []
        models = ["" if row is None else self.experiment.rows[row].model for row in self.rows]
        return blocks if any(blocks) else models

    @property
    def heads(self) -> dict[str, list[str]]:
        """Column -> the benchmarks whose mean it is."""
        single = {name: [task] for name, task in self.columns.items()}
        return single | ({self.mean: list(self.columns.values())} if self.mean else {})

    def delta_row(self, row: int | None) -> int | None:
        """The row that the subscripts of a row are differences from."""
        own = None if row is None or not self.delta else self.experiment.rows[row]
        if own is None or own.base or own.method == self.delta:
            return None
        wanted = {"study": "baseline"} if self.delta == "untrained" else {"method": self.delta}
        return self.experiment.first(own, **wanted)


@cache
def layouts() -> dict[str, Layout]:
    """Of the tables that a paper prints, by name of the experiment."""
    content = yaml.safe_load((Path(__file__).parent / "tables.yaml").read_text(encoding="utf-8"))["papers"]
    found = {}
    for name, entry in content.items():
        experiment, paper = experiments()[name], paper_tables()[entry["paper"]]
        rows = entry.get("rows", range(len(experiment.rows)))
        own = entry["columns"], entry.get("mean", ""), entry.get("delta", "")
        found[name] = Layout(experiment, paper, *own, tuple(rows))
    return found


def layout_of(experiment: Experiment) -> Layout:
    """Also of a table that no paper prints."""
    own = layouts().get(experiment.name)
    return own or Layout(experiment, None, {}, "", "", tuple(range(len(experiment.rows))))


def line_of(layout: Layout, setting: Setting, row: int | None, tasks: Sequence[str]) -> chance.Line | None:
    """What a row has of the benchmarks; ``None`` where one of them was not run."""
    trained = row is not None and not layout.experiment.rows[row].base
    return chance.Line.of(*(setting.results(row, task) for task in tasks), trained=trained)


def row_source(experiment: Experiment, setting: Setting, row: int | None, label: str) -> Source | None:
    own = setting.rows.get(row) if row is not None else None
    return None if own is None else source(f"{label}, {setting.head}", own, experiment.command, setting.tasks)


def setting_note(setting: Setting) -> str:
    records = setting.records
    first = records.scores.iloc[0]
    counts = ", ".join(f"{first[task].title} {first[task].n}" for task in setting.tasks)
    seeds = seeds_told({"": [_seeds(config) for config in records[records.study == "training"].config]})
    told = f" Seeds: {seeds}." if seeds else ""
    clusters = chance.clusters_note([first[task] for task in setting.tasks])
    return f"{setting.long}. n per cell and seed: {counts}.{clusters}{told}{_detectable(setting)}"


def _detectable(setting: Setting) -> str:
    """The smallest difference that two cells of one seed could show, by benchmark, at the mean rate of all cells."""
    scores = setting.records.scores
    told = [text for task in setting.tasks if (text := _detectable_of([own[task] for own in scores]))]
    if not told:
        return ""
    return f" Smallest difference detectable between two cells of one seed, unpaired: {', '.join(told)} points."


def _detectable_of(results: list[Benchmark]) -> str:
    rate = chance.rate(results)
    if rate is None or not 0 < rate < 1:
        return ""
    points = 100 * detectable_difference(rate, min(map(chance.size, results)))
    return f"{results[0].title} {points:.2f}"


def _seeds(config: dict[str, Any]) -> dict[str, int]:
    return {key.split(".")[1]: value for key, value in config.items() if key.startswith("seeds.")}
