"""Tables of the papers: as printed, as measured at full scale, and in the tiny world, never in one column.

``<name>`` has the paper's form, and beside it the mean of what was run, with intervals and verdicts.
``<name>_compared`` has a line for each number: the paper's, ours, the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import pandas as pd

from analysis import chance
from analysis.compared_table import compared_table
from analysis.experiment import Experiment, Setting, model_names, settings
from analysis.paper import PaperRow, PaperTable
from analysis.paper_layout import Layout, layout_of, line_of, row_source, setting_note
from analysis.table import CAUTION, EMPTY, Group, Source, Table, Value, empty_group, plain

BASE_NOTE = (
    "'vs base' is the difference from the row's own base: a credit method's from its base algorithm without it, a base "
    "algorithm's from the untrained model, an ablation's from the row it varies."
)

REFERENCE = "reference"
"""The verdict of a row that is compared with nothing, for others are compared with it."""


def paper_table(experiment: Experiment, every: pd.DataFrame) -> list[Table]:
    """The table in the paper's form and, where a paper prints it, the comparison with it."""
    layout = layout_of(experiment)
    found = settings(experiment, every)
    groups = [_paper_group(layout, layout.paper)] if layout.paper else []
    if not any(setting.provenance == "measured" for setting in found):
        groups.append(empty_group((*(layout.heads or ("Score",)), "Seeds"), len(layout.rows)))
    made = [make(layout, setting) for setting in found for make in _forms(setting)]
    table = Table(
        name=experiment.name,
        caption=layout.caption,
        rows=layout.labels,
        groups=[*groups, *made],
        command=experiment.command,
        ours=layout.ours,
        blocks=layout.blocks,
        notes=(*[chance.METHODS, BASE_NOTE] * bool(found), *_models(experiment, found)),
    )
    return [table, compared_table(layout, layout.paper, table, found)] if layout.paper else [table]


def _forms(setting: Setting) -> list[Callable[[Layout, Setting], Group]]:
    """What is shown of a setting; verdicts first, so that a narrow page does not cut them off."""
    return [_with_verdicts] if len(setting.tasks) == 1 else [_with_verdicts, _group]


def _models(experiment: Experiment, found: Iterable[Setting]) -> list[str]:
    told = [f"{setting.head.split(',')[0]}: {model_names(experiment, setting.scale)}" for setting in found]
    return [f"Models: {'; '.join(dict.fromkeys(told))}."] if told else []


def _paper_group(layout: Layout, paper: PaperTable) -> Group:
    """The paper's own numbers."""
    lines = [tuple(_printed(row, name, name == layout.mean) for name in paper.columns) for row in paper.rows]
    note = f"paper: as printed, {paper.place}, percent."
    return Group(f"paper: {paper.paper}", paper.columns, _marked(lines, layout.comparable), note)


def _printed(row: PaperRow, name: str, mean: bool) -> Value:
    if name not in row.cells:
        return Value(EMPTY)
    cell = row.cells[name]
    return replace(cell.shown, delta=cell.delta, gain=row.gain if mean else "")


def _marked(lines: list[tuple[Value, ...]], comparable: list[str]) -> list[tuple[Value, ...]]:
    """With the highest number of each column among comparable lines marked, where more than one line has one."""
    numbers = pd.DataFrame([[cell.text for cell in line] for line in lines]).apply(pd.to_numeric, errors="coerce")
    among = numbers.groupby(comparable)
    best = numbers.eq(among.transform("max")) & among.transform("count").gt(1)
    return [
        tuple(replace(cell, best=mark) for cell, mark in zip(line, marks, strict=True))
        for line, marks in zip(lines, best.to_numpy().tolist(), strict=True)
    ]


def _group(layout: Layout, setting: Setting) -> Group:
    """What was run here."""
    columns = layout.heads or {_titled(setting, task): [task] for task in setting.tasks}
    pairs = [*zip(layout.rows, layout.labels, strict=True)]
    lines = _marked([_line(layout, setting, columns, *pair) for pair in pairs], layout.comparable)
    seeds = [0 if row is None else len(setting.rows.get(row, ())) for row in layout.rows]
    counted = [(*line, *plain(str(count) if count else EMPTY)) for line, count in zip(lines, seeds, strict=True)]
    return Group(setting.head, (*columns, "Seeds"), counted, setting_note(setting), CAUTION[setting.provenance])


def _titled(setting: Setting, task: str) -> str:
    """Percent unless the head says otherwise."""
    result = setting.records.scores.iloc[0][task]
    return f"{result.title} ({'%' if result.metric == 'accuracy' else result.metric})"


def _line(
    layout: Layout, setting: Setting, columns: dict[str, list[str]], row: int | None, label: str
) -> tuple[Value, ...]:
    where = row_source(layout.experiment, setting, row, label)
    base = layout.delta_row(row)
    found = [[line_of(layout, setting, i, tasks) for i in (row, base)] for tasks in columns.values()]
    cells = [_value(layout, own, theirs, where) for own, theirs in found]
    return (*cells[:-1], replace(cells[-1], gain=_gain(layout, setting, row, [*columns.values()][-1])))


def _value(layout: Layout, own: chance.Line | None, base: chance.Line | None, where: Source | None) -> Value:
    """Differences are written as the paper does: table 3 has drops with an arrow, the others signed changes."""
    if own is None:
        return Value(EMPTY)
    if base is None:
        delta = ""
    elif layout.delta == "kawhi" and base.score >= own.score:
        delta = f"↓{base.score - own.score:.2f}"
    else:
        delta = f"{own.score - base.score:+.2f}"
    return Value(f"{own.score:.2f}", delta, source=where)


def _gain(layout: Layout, setting: Setting, row: int | None, tasks: Sequence[str]) -> str:
    """What a method adds to its base algorithm, beside the mean of the benchmarks."""
    experiment = layout.experiment
    if row is None or experiment.rows[row].method != "kawhi" or len(tasks) == 1:
        return ""
    base = experiment.reference(row)
    if base is None or experiment.rows[base].credit != "uniform":
        return ""
    ours, theirs = (line_of(layout, setting, i, tasks) for i in (row, base))
    return "" if ours is None or theirs is None else f"{ours.score - theirs.score:+.2f}"


def _with_verdicts(layout: Layout, setting: Setting) -> Group:
    """The mean of the benchmarks, or the only one, with intervals and verdicts."""
    tasks, experiment = setting.tasks, layout.experiment
    bases = [None if row is None else experiment.reference(row) for row in layout.rows]
    own, base = ([line_of(layout, setting, row, tasks) for row in rows] for rows in (layout.rows, bases))
    lines = []
    for row, label, ours, other, texts in zip(
        layout.rows, layout.labels, own, bases, chance.lines(own, base), strict=True
    ):
        where = row_source(experiment, setting, row, label)
        verdict = REFERENCE if ours and other is None else texts[-1]
        seeds = str(len(ours.benchmarks[0])) if ours else EMPTY
        lines.append(plain(*texts[:-1], verdict, seeds, source=where))
    one = len(tasks) == 1
    names = (
        _titled(setting, tasks[0]) if one else f"Mean of {len(tasks)} (%)",
        *("95% interval", "vs base", "Interval of it", "Verdict", "Seeds"),
    )
    head = setting.head if one else f"{setting.head}, mean of the benchmarks"
    return Group(head, names, lines, setting_note(setting) if one else "", CAUTION[setting.provenance])
