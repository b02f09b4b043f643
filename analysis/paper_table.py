"""Tables of the papers: as printed, as measured at full scale, and in the tiny world, never in one column.

``<name>`` has the paper's form.  ``<name>_compared`` has a line for each number: the paper's, ours, the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analysis import chance
from analysis.compared_table import compared_table
from analysis.experiment import Experiment, Setting, model_names, settings
from analysis.paper import Printed
from analysis.paper_layout import Layout, layouts, results, row_source, score, setting_note
from analysis.records import Entry
from analysis.table import CAUTION, EMPTY, Group, Source, Table, Value, empty_group, plain
from kawhi.records.schema import Benchmark

BASE_NOTE = (
    "'vs base' is the difference from the row's own base: a credit method's from its base algorithm without it, a base "
    "algorithm's from the untrained model, an ablation's from the row it varies."
)


def paper_table(experiment: Experiment, every: list[Entry]) -> list[Table]:
    """The table in the paper's form and, where a paper prints it, the comparison with it."""
    layout = layouts().get(experiment.name)
    found = settings(experiment, every)
    order = layout.rows if layout else tuple(range(len(experiment.rows)))
    labels = [row.row for row in layout.paper.rows] if layout else [row.label for row in experiment.rows]
    groups = [_paper_group(layout, order, experiment)] if layout else []
    measured = [_group(experiment, layout, order, labels, setting) for setting in found]
    if not any(setting.provenance == "measured" for setting in found):
        names = tuple(layout.columns) + ((layout.mean,) if layout.mean else ()) if layout else ("Score",)
        measured.insert(0, empty_group((*names, "Seeds"), len(order)))
    table = Table(
        name=experiment.name,
        caption=_caption(experiment, layout),
        rows=labels,
        groups=[*groups, *measured],
        command=experiment.command,
        ours=_ours(experiment, order),
        blocks=_blocks(layout),
        notes=(*[chance.METHODS, BASE_NOTE] * bool(found), *_models(experiment, found)),
    )
    return [table, compared_table(experiment, layout, table, found)] if layout else [table]


def _caption(experiment: Experiment, layout: Layout | None) -> str:
    if layout is None:
        return experiment.caption
    return f"{layout.paper.paper}, {layout.paper.place}: {layout.paper.title}"


def _blocks(layout: Layout | None) -> dict[int, str]:
    if layout is None:
        return {}
    named = [row.block for row in layout.paper.rows]
    return {i: name for i, name in enumerate(named) if name and (i == 0 or named[i - 1] != name)}


def _ours(experiment: Experiment, order: Sequence[int | None]) -> frozenset[int]:
    """Lines of the method that the table is about."""
    method = "tor" if experiment.name.startswith("tor") else "kawhi"
    return frozenset(i for i, row in enumerate(order) if row is not None and experiment.rows[row].credit == method)


def _models(experiment: Experiment, found: Iterable[Setting]) -> list[str]:
    told = [f"{setting.head.split(',')[0]}: {model_names(experiment, setting.scale)}" for setting in found]
    return [f"Models: {'; '.join(dict.fromkeys(told))}."] if told else []


# The paper's own numbers.


def _paper_group(layout: Layout, order: Sequence[int | None], experiment: Experiment) -> Group:
    names = layout.paper.columns
    lines = []
    for row in layout.paper.rows:
        where = Source("as printed", place=next((cell.place for cell in row.cells.values()), ""))
        lines.append(tuple(_printed(row.cells.get(name), row.gain, name == layout.mean, where) for name in names))
    best = _best([[_number(cell.text) for cell in line] for line in lines], _comparable(layout, order, experiment))
    marked = [tuple(_marked(cell, (i, j) in best) for j, cell in enumerate(line)) for i, line in enumerate(lines)]
    return Group(f"paper: {layout.paper.paper}", names, marked, f"paper: as printed, {layout.paper.place}, percent.")


def _printed(cell: Printed | None, gain: str, mean: bool, where: Source) -> Value:
    if cell is None:
        return Value(EMPTY)
    return Value(cell.text, delta=cell.delta, gain=gain if mean else "", source=where)


def _comparable(layout: Layout | None, order: Sequence[int | None], experiment: Experiment) -> list[list[int]]:
    """Lines among which the best is marked: a block of the table, or one model's rows."""
    if layout and any(row.block for row in layout.paper.rows) and layout.paper.key != "kawhi_3":
        keys = [row.block for row in layout.paper.rows]
    else:
        keys = ["" if row is None else experiment.rows[row].model for row in order]
    return [[i for i, key in enumerate(keys) if key == own] for own in dict.fromkeys(keys)]


def _best(values: list[list[float | None]], comparable: list[list[int]]) -> set[tuple[int, int]]:
    """(line, column) of the highest number of each column among comparable lines; none where only one line has one."""
    found = set()
    for lines in comparable:
        for j in range(len(values[0]) if values else 0):
            there = {i: value for i in lines if (value := values[i][j]) is not None}
            if len(there) > 1:
                found |= {(i, j) for i, value in there.items() if value == max(there.values())}
    return found


def _marked(cell: Value, best: bool) -> Value:
    return Value(cell.text, cell.delta, cell.gain, best, cell.source)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# What was run here.


def _group(
    experiment: Experiment, layout: Layout | None, order: Sequence[int | None], labels: Sequence[str], setting: Setting
) -> Group:
    if len(setting.tasks) == 1:
        return _one_benchmark(experiment, order, labels, setting)
    columns = _columns(layout, setting)
    lines, values = [], []
    for row, label in zip(order, labels, strict=True):
        where = row_source(experiment, setting, row, label)
        numbers = [score(setting, row, tasks) for tasks in columns.values()]
        base = _delta_row(experiment, layout, row)
        deltas = [
            _delta(layout, number, score(setting, base, t)) for number, t in zip(numbers, columns.values(), strict=True)
        ]
        gains = _gains(experiment, setting, row, columns)
        cells = [
            Value(EMPTY) if number is None else Value(f"{number:.2f}", delta, gain, source=where)
            for number, delta, gain in zip(numbers, deltas, gains, strict=True)
        ]
        seeds = len(setting.rows.get(row, [])) if row is not None else 0
        lines.append((*cells, *plain(str(seeds) if seeds else EMPTY)))
        values.append([None if number is None else round(number, 2) for number in numbers])
    best = _best(values, _comparable(layout, order, experiment))
    marked = [tuple(_marked(cell, (i, j) in best) for j, cell in enumerate(line)) for i, line in enumerate(lines)]
    return Group(setting.head, (*columns, "Seeds"), marked, setting_note(setting), CAUTION[setting.provenance])


def _columns(layout: Layout | None, setting: Setting) -> dict[str, list[str]]:
    """Head of a column -> the benchmarks whose mean it is; percent unless the head says otherwise."""
    if layout:
        columns = {name: [task] for name, task in layout.columns.items()}
    else:
        first = next(iter(setting.rows.values()))[0]
        columns = {_titled(first.scores[task]): [task] for task in setting.tasks}
    if layout and layout.mean:
        columns[layout.mean] = list(layout.columns.values())
    return columns


def _titled(result: Benchmark) -> str:
    return f"{result.title} ({'%' if result.metric == 'accuracy' else result.metric})"


def _delta_row(experiment: Experiment, layout: Layout | None, row: int | None) -> int | None:
    if layout is None or not layout.delta or row is None or experiment.rows[row].base:
        return None
    own = experiment.rows[row]
    if own.credit == layout.delta:
        return None
    for i, other in enumerate(experiment.rows):
        wanted = other.base if layout.delta == "untrained" else other.credit == layout.delta
        if wanted and other.model == own.model:
            return i
    return None


def _delta(layout: Layout | None, number: float | None, base: float | None) -> str:
    """As the paper writes it: table 3 has drops with an arrow, the others signed changes."""
    if number is None or base is None or layout is None:
        return ""
    if layout.delta == "kawhi":
        return f"↓{base - number:.2f}" if base >= number else f"+{number - base:.2f}"
    return f"{number - base:+.2f}"


def _gains(experiment: Experiment, setting: Setting, row: int | None, columns: dict[str, list[str]]) -> list[str]:
    """What a method adds to its base algorithm, beside the mean of the benchmarks."""
    empty = [""] * len(columns)
    if row is None or experiment.rows[row].credit != "kawhi" or (base := experiment.reference(row)) is None:
        return empty
    tasks = list(columns.values())[-1]
    ours, theirs = score(setting, row, tasks), score(setting, base, tasks)
    if len(tasks) == 1 or ours is None or theirs is None or experiment.rows[base].credit != "uniform":
        return empty
    return [*empty[:-1], f"{ours - theirs:+.2f}"]


def _one_benchmark(
    experiment: Experiment, order: Sequence[int | None], labels: Sequence[str], setting: Setting
) -> Group:
    """One benchmark has room for intervals and verdicts."""
    (task,) = setting.tasks
    found: list[chance.Compared | None] = []
    for row in order:
        ours = results(setting, row, task)
        base = results(setting, experiment.reference(row) if row is not None else None, task)
        found.append(chance.compared(ours, base) if ours and base else None)
    words = chance.verdicts(found, [bool(results(setting, row, task)) for row in order])
    lines = []
    for row, label, against, word in zip(order, labels, found, words, strict=True):
        seeds = results(setting, row, task)
        if not seeds:
            lines.append(plain(*(EMPTY,) * 4, chance.NOT_RUN, EMPTY))
            continue
        base = results(setting, experiment.reference(row) if row is not None else None, task)
        gap = f"{chance.score(seeds) - chance.score(base):+z.2f}" if base else EMPTY
        texts = (chance.shown(chance.interval(seeds)), gap, chance.shown_difference(against)[1], word, str(len(seeds)))
        where = row_source(experiment, setting, row, label)
        lines.append(plain(f"{chance.score(seeds):.2f}", *texts, source=where))
    title = _titled(next(iter(setting.rows.values()))[0].scores[task])
    names = (title, "95% interval", "vs base", "Interval of it", "Verdict", "Seeds")
    return Group(setting.head, names, lines, setting_note(setting), CAUTION[setting.provenance])
