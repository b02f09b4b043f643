"""``<name>_compared``: a line for each number of a paper's table, with ours, the difference and a verdict."""

from __future__ import annotations

from analysis import chance
from analysis.experiment import Setting
from analysis.paper import PaperTable
from analysis.paper_layout import Layout, line_of, row_source, setting_note
from analysis.table import EMPTY, Group, Table, empty_group, plain

COMPARED = "_compared"
PRINTED_NOTE = (
    "A verdict compares with the paper's number, of which neither seeds nor an interval are printed: it is taken as "
    "one training seed, as far from the next as ours are from each other, and as one draw of answers to as many "
    "independent problems. With one seed of ours the spread between training seeds is not in the interval. Verdicts "
    "are after Holm's correction over all comparisons of the column."
)
NAMES = ("Ours", "Difference", "95% interval", "Verdict")


def compared_table(layout: Layout, paper: PaperTable, table: Table, found: list[Setting]) -> Table:
    """Of the ``table`` in the paper's form."""
    heads = [*layout.heads]
    lines = [(i, name) for i, row in enumerate(paper.rows) for name in heads if name in row.cells]
    groups = [_group(layout, paper, lines, setting) for setting in found if setting.provenance == "measured"]
    groups = groups or [empty_group(NAMES, len(lines), plain(*(EMPTY,) * 3, chance.NOT_RUN))]
    numbers = [i for i, _ in lines]
    return Table(
        name=f"{table.name}{COMPARED}",
        caption=f"{table.caption}: the paper's numbers and ours",
        rows=[f"{table.rows[i]}, {name}" for i, name in lines],
        groups=[_printed(paper, lines), *groups],
        command=table.command,
        ours=frozenset(k for k, i in enumerate(numbers) if i in table.ours),
        blocks={numbers.index(i): text for i, text in table.blocks.items() if i in numbers},
        notes=(PRINTED_NOTE,),
        title="Experiment, benchmark",
    )


def _printed(paper: PaperTable, lines: list[tuple[int, str]]) -> Group:
    return Group(f"paper: {paper.paper}", ("Paper",), [(paper.rows[i].cells[name].shown,) for i, name in lines], "")


def _printed_of(layout: Layout, paper: PaperTable, number: int, tasks: list[str]) -> list[float]:
    """The paper's numbers of the benchmarks that a column is the mean of."""
    single = {task: name for name, task in layout.columns.items()}
    return [paper.rows[number].cells[single[task]].value for task in tasks]


def _group(layout: Layout, paper: PaperTable, lines: list[tuple[int, str]], setting: Setting) -> Group:
    gaps: list[chance.Compared | None] = []
    texts: list[tuple[str, ...]] = []
    for i, name in lines:
        tasks, printed = layout.heads[name], paper.rows[i].cells[name].value
        ours = line_of(layout, setting, layout.rows[i], tasks)
        if ours is None:
            gaps.append(None)
            texts.append((EMPTY, EMPTY))
        else:
            gaps.append(chance.against_printed(ours, printed, _printed_of(layout, paper, i, tasks)))
            texts.append((f"{ours.score:.2f}", f"{ours.score - printed:+z.2f}"))
    words = chance.verdicts(gaps, [ours != EMPTY for ours, _ in texts])
    cells = []
    for (i, _), own, gap, word in zip(lines, texts, gaps, words, strict=True):
        where = row_source(layout.experiment, setting, layout.rows[i], layout.labels[i])
        cells.append(plain(*own, chance.shown_difference(gap), word, source=where))
    return Group(setting.head, NAMES, cells, setting_note(setting))
