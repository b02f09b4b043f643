"""The table of ``experiment=efficiency``: what a step takes with and without KAWHI, beside the paper's section 4.5."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis import steps
from analysis.experiment import known_as
from analysis.paper import paper_tables
from analysis.records import canonical, columns, method_of, refuse_doubles, shared_setting, source
from analysis.table import CAUTION, EMPTY, Group, Table, Value, empty_group, empty_line, plain
from kawhi.records.schema import TimingRecord

NAME = "efficiency"
COMMAND = "python experiments/run.py -m experiment=efficiency"
ROWS = {"uniform": "GRPO", "kawhi": "GRPO + KAWHI (Ours)"}
BASE = "uniform"
PAPER = {"uniform": "without KAWHI (R2)", "kawhi": "with KAWHI (R1)"}
EVALUATION = ("benchmarks", "evaluation", "judge")
COLUMNS = (
    *("Step (s)", "95% interval", "Processors (s)", "Interval of it"),
    *("vs GRPO (s)", "Interval of it", "KAWHI's parts (%)", "Steps"),
)
NOTES = (
    "Medians over the steps of timing cells, without the first, of all seeds together. Intervals are 95%: binomial for "
    "a median, a bootstrap over steps for a difference. Processors: seconds of all of them. KAWHI's parts: their share "
    "of the step in the same run.",
    "'vs GRPO' compares seconds on the wall where a cell has GPUs of its own, and processor seconds in the CPU world, "
    "where cells share a machine and seconds on the wall say what else ran.",
)


def efficiency_table(every: pd.DataFrame) -> Table:
    """GRPO's timing cells that have steps enough for an interval; a group per model, setting and number of steps."""
    own = every[(every.study == "timing") & (every.algorithm == "grpo")]
    own = own[own.steps >= steps.WARM_UP + steps.FEWEST]
    settings = [shared_setting(config, EVALUATION) for config in own.config]
    said = {"credit": [*map(known_as, own.config)], "setting": settings, "key": [*map(canonical, settings)]}
    said["method"] = [*map(method_of, own.config)]
    own = own.assign(**{name: pd.Series(values, own.index, dtype=object) for name, values in said.items()})
    own = own[own.credit.isin([*ROWS])]
    found = columns(own, ["provenance", "model", "steps"], "{provenance}: {model}, {steps} steps")
    return Table(
        name=NAME,
        caption="Efficiency: seconds of a training step with and without KAWHI (section 4.5 and figure 5).",
        rows=[*ROWS.values()],
        groups=[_printed(), *(_group(*each) for each in found)] if found else [_printed(), empty_group(COLUMNS, 2)],
        command=COMMAND,
        ours=frozenset({1}),
        notes=NOTES if found else (),
    )


def _printed() -> Group:
    table = paper_tables()["kawhi_section_4_5"]
    lines: list[tuple[Value, ...]] = [(table.row(row).cells["Per-step duration"].shown,) for row in PAPER.values()]
    note = "paper: section 4.5, which labels the shorter step as the one with KAWHI and calls the 19.6 s its overhead."
    return Group("paper: section 4.5", ("Step (s)",), lines, note)


def _group(name: str, long: str, column: pd.DataFrame) -> Group:
    cells: dict[str, list[TimingRecord]] = {credit: list(own.result) for credit, own in column.groupby("credit")}
    lines = []
    for credit, label in ROWS.items():
        if credit not in cells:
            lines.append(empty_line(len(COLUMNS)))
            continue
        refuse_doubles(column[column.credit == credit], "are one row", "method")
        where = source(f"{label}, {name}", column[column.credit == credit], COMMAND)
        base = cells.get(BASE, []) if credit != BASE else []
        lines.append(plain(*_texts(cells[credit], base), source=where))
    return Group(name, COLUMNS, lines, f"{long}." * (long != name), CAUTION[column.provenance.iloc[0]])


def _texts(ours: Sequence[TimingRecord], base: Sequence[TimingRecord]) -> tuple[str, ...]:
    wall, processors = steps.seconds(ours), steps.processor_seconds(ours)
    measure = steps.processor_seconds if any(map(steps.shares_processors, ours)) else steps.seconds
    shares = [record.run.kawhi_share for record in ours if record.run.kawhi_share is not None]
    return (
        *_median(wall),
        *_median(processors),
        *_difference(measure(ours), measure(base)),
        f"{100 * sum(shares) / len(shares):.2f}" if shares else EMPTY,
        str(len(wall)),
    )


def _median(values: Sequence[float]) -> tuple[str, str]:
    found = steps.median(values)
    if found is None:
        return EMPTY, EMPTY
    return f"{found.value:.2f}", EMPTY if found.low is None else f"[{found.low:.2f}, {found.high:.2f}]"


def _difference(ours: Sequence[float], base: Sequence[float]) -> tuple[str, str]:
    mine, theirs, bounds = steps.median(ours), steps.median(base), steps.difference(ours, base)
    if mine is None or theirs is None:
        return EMPTY, EMPTY
    return f"{mine.value - theirs.value:+.2f}", EMPTY if bounds is None else "[{:+.2f}, {:+.2f}]".format(*bounds)
