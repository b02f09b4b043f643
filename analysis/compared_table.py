"""``<name>_compared``: a line for each number of a paper's table, with ours, the difference and a verdict."""

from __future__ import annotations

from analysis import chance
from analysis.experiment import Experiment, Setting
from analysis.paper_layout import Layout, results, row_source, score, setting_note
from analysis.table import EMPTY, Group, Source, Table, plain

COMPARED = "_compared"
PRINTED_NOTE = (
    "A verdict compares with the paper's number, of which neither seeds nor an interval are printed: it is taken as "
    "one draw of answers to as many problems, and the spread between training seeds on its side is not in the "
    "interval. Verdicts are after Holm's correction over all comparisons of the column."
)


def compared_table(experiment: Experiment, layout: Layout, table: Table, found: list[Setting]) -> Table:
    columns = {name: [task] for name, task in layout.columns.items()}
    if layout.mean:
        columns[layout.mean] = list(layout.columns.values())
    lines = [(i, name) for i, row in enumerate(layout.paper.rows) for name in columns if name in row.cells]
    printed = [layout.paper.rows[i].cells[name] for i, name in lines]
    groups = [
        Group(
            f"paper: {layout.paper.paper}",
            ("Paper",),
            [plain(cell.text, source=Source("as printed", place=cell.place)) for cell in printed],
            "",
        )
    ]
    names = ("Ours", "Difference", "95% interval", "Verdict")
    measured = [setting for setting in found if setting.provenance == "measured"]
    for setting in measured:
        gaps, ours = [], []
        for (i, name), cell in zip(lines, printed, strict=True):
            row, tasks = layout.rows[i], columns[name]
            number = score(setting, row, tasks)
            ours.append(number)
            seeds = [results(setting, row, task) for task in tasks]
            gaps.append(None if number is None else chance.against_printed(seeds, cell.value, number))
        words = chance.verdicts(gaps, [number is not None for number in ours])
        cells = []
        for (i, _), cell, number, gap, word in zip(lines, printed, ours, gaps, words, strict=True):
            shown = EMPTY if number is None else f"{number:.2f}"
            difference = EMPTY if number is None else f"{number - cell.value:+z.2f}"
            where = row_source(experiment, setting, layout.rows[i], table.rows[i])
            cells.append(plain(shown, difference, chance.shown_difference(gap)[1], word, source=where))
        groups.append(Group(setting.head, names, cells, setting_note(setting)))
    if not measured:
        nothing = [plain(*(EMPTY,) * 3, chance.NOT_RUN) for _ in lines]
        groups.append(Group("measured: nothing was run", names, nothing, "measured: nothing was run."))
    firsts = {i: next(k for k, (line, _) in enumerate(lines) if line == i) for i, _ in lines}
    return Table(
        name=f"{table.name}{COMPARED}",
        caption=f"{table.caption}: the paper's numbers and ours",
        rows=[f"{table.rows[i]}, {name}" for i, name in lines],
        groups=groups,
        command=table.command,
        ours=frozenset(k for k, (i, _) in enumerate(lines) if i in table.ours),
        blocks={firsts[i]: text for i, text in table.blocks.items() if i in firsts},
        notes=(PRINTED_NOTE,),
        title="Experiment, benchmark",
    )
