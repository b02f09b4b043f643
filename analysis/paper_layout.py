"""How a table of a paper and one of ``conf/experiment`` fit together, and what was run of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from analysis import chance
from analysis.experiment import Experiment, Setting, experiments
from analysis.paper import PaperTable, paper_tables
from analysis.records import Entry, source
from analysis.significance import detectable_difference
from analysis.table import Source
from kawhi.records.schema import Benchmark


@dataclass(frozen=True)
class Layout:
    """How a table of ``conf/experiment`` and one of ``paper.yaml`` fit together (``papers`` of ``tables.yaml``).

    Attributes:
        columns: paper's column -> task.
        mean: the column of the benchmarks' mean; empty where there is none.
        delta: ``untrained`` or a credit method: the row that subscripts are differences from; empty for none.
        rows: for each line of the paper's table the number of the experiment's row.
    """

    paper: PaperTable
    columns: dict[str, str]
    mean: str
    delta: str
    rows: tuple[int | None, ...]


@cache
def layouts() -> dict[str, Layout]:
    """By name of the experiment."""
    content = yaml.safe_load((Path(__file__).parent / "tables.yaml").read_text(encoding="utf-8"))["papers"]
    found = {}
    for name, entry in content.items():
        paper = paper_tables()[entry["paper"]]
        rows = entry.get("rows", range(len(experiments()[name].rows)))
        found[name] = Layout(paper, entry["columns"], entry.get("mean", ""), entry.get("delta", ""), tuple(rows))
    return found


def results(setting: Setting, row: int | None, task: str) -> list[Benchmark]:
    return [entry.scores[task] for entry in setting.rows.get(row, [])] if row is not None else []


def score(setting: Setting, row: int | None, tasks: Sequence[str]) -> float | None:
    """Mean over tasks of the means over seeds; ``None`` where one of them was not run."""
    found = [results(setting, row, task) for task in tasks]
    return sum(chance.score(seeds) for seeds in found) / len(found) if all(found) else None


def row_source(experiment: Experiment, setting: Setting, row: int | None, label: str) -> Source | None:
    own = setting.rows.get(row, []) if row is not None else []
    return source(f"{label}, {setting.head}", own, experiment.command) if own else None


def setting_note(setting: Setting) -> str:
    first = next(iter(setting.rows.values()))[0]
    counts = ", ".join(f"{first.scores[task].title} {first.scores[task].n}" for task in setting.tasks)
    seeds = sorted({_seeds(entry) for its in setting.rows.values() for entry in its if entry.study == "training"})
    told = f" Seeds: {'; '.join(seeds)}." if seeds else ""
    return f"{setting.long}. n per cell and seed: {counts}.{told}{_detectable(setting)}"


def _detectable(setting: Setting) -> str:
    """The smallest difference that two cells of one seed could show, by benchmark, at the mean rate of all cells."""
    told = []
    for task in setting.tasks:
        results = [entry.scores[task] for its in setting.rows.values() for entry in its]
        if any(result.correct is None for result in results):
            continue
        rate = sum(result.correct or 0 for result in results) / sum(result.n for result in results)
        if 0 < rate < 1:
            points = 100 * detectable_difference(rate, min(result.problems or result.n for result in results))
            told.append(f"{results[0].title} {points:.2f}")
    if not told:
        return ""
    return f" Smallest difference detectable between two cells of one seed, unpaired: {', '.join(told)} points."


def _seeds(entry: Entry) -> str:
    return " ".join(f"{key.split('.')[1]} {value}" for key, value in entry.config.items() if key.startswith("seeds."))
