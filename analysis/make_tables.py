"""Tables from records: the paper's numbers beside what was run here, never in one column.

python analysis/make_tables.py region_selection        # results/records/*.json -> results/tables/region_selection.*
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table as TerminalTable
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
if __package__ is None:  # run as a script: this folder's statistics.py would hide the standard library's
    sys.path[0] = str(ROOT)

from analysis.records import Measurement, RecordError, read_records  # noqa: E402
from analysis.statistics import detectable_difference, wilson_interval  # noqa: E402

EMPTY = "–"
BASELINE, OURS = "uniform", "kawhi"
ROWS = {  # credit method -> (label here, row in the paper's table 3), in the paper's order
    "uniform": ("GRPO", "GRPO"),
    "kawhi": ("GRPO + KAWHI (Ours)", "GRPO+KAWHI (Ours)"),
    "kawhi_all": ("All vision tokens", "All vision tokens"),
    "kawhi_random": ("Random", "Random"),
    "kawhi_inverse": ("Inverse selection", "Inverse selection"),
}
PAPER_COLUMNS = ("MathVerse", "MathVision", "Average")
CAUTION = {"measured": "", "tiny": "CPU world, not comparable with the paper"}
COMMAND = "python experiments/run.py -m ablation=region_selection"


@dataclass(frozen=True)
class Group:
    """Columns of one provenance under a common head; ``cells`` has a line per row of the table."""

    name: str
    columns: tuple[str, ...]
    cells: list[tuple[str, ...]]
    note: str
    caution: str = ""

    @property
    def head(self) -> str:
        """The name with the caution, on one line."""
        return f"{self.name} ({self.caution})" if self.caution else self.name


@dataclass(frozen=True)
class Table:
    """A table before it is Markdown, LaTeX, CSV or a terminal's."""

    caption: str
    rows: list[str]
    groups: list[Group]
    command: str
    ours: int

    def lines(self) -> list[list[str]]:
        """The body: label, then the cells of all groups."""
        return [[label, *(c for g in self.groups for c in g.cells[i])] for i, label in enumerate(self.rows)]


@dataclass
class Cell:
    """All seeds of one row and column group."""

    seeds: list[Measurement] = field(default_factory=list)

    @property
    def score(self) -> float:
        return sum(m.score for m in self.seeds) / len(self.seeds)

    @property
    def n(self) -> int:
        return sum(m.n for m in self.seeds)

    @property
    def correct(self) -> int:
        return sum(m.correct for m in self.seeds)


def region_selection(measurements: list[Measurement]) -> Table:
    """Table 3, block 1: does it matter which visual tokens the responses are compared with?"""
    columns: dict[tuple, list[Measurement]] = {}
    for m in measurements:
        if m.credit in ROWS and m.algorithm == "grpo":
            # Runs of another length, from other weights or on other data are columns of their own.
            setting = (m.setting["steps"], m.setting["data"], m.setting["weights"])
            columns.setdefault((m.provenance, m.model, m.task, *setting), []).append(m)
    groups = [_measured_group(columns[key]) for key in sorted(columns)] or [_nothing_group()]
    caption = "Region selection: table 3 of the paper, block 1, and what was run here."
    return Table(
        caption, [label for label, _ in ROWS.values()], [_paper_group(), *groups], COMMAND, [*ROWS].index(OURS)
    )


def _paper_group() -> Group:
    entries = yaml.safe_load((ROOT / "analysis" / "paper.yaml").read_text(encoding="utf-8"))["values"]
    values = {(e["row"], e["column"]): e["value"] for e in entries if e["table"] == 3}
    cells = [tuple(f"{values[row, column]:.2f}" for column in PAPER_COLUMNS) for _, row in ROWS.values()]
    note = "paper: as printed in table 3, Qwen2.5-VL-7B-Instruct, percent; the average is the paper's own."
    return Group("paper: Qwen2.5-VL-7B-Instruct", PAPER_COLUMNS, cells, note)


def _columns(metric: str) -> tuple[str, ...]:
    return (f"{metric.capitalize()} (%)", "vs GRPO", "95% interval", "n", "Seeds")


def _nothing_group() -> Group:
    columns = _columns("accuracy")
    note = "measured: nothing was run, so there are no seeds, no n and no detectable difference."
    return Group("measured: nothing was run", columns, [(EMPTY,) * len(columns)] * len(ROWS), note)


def _measured_group(measurements: list[Measurement]) -> Group:
    first = measurements[0]
    cells: dict[str, Cell] = {}
    for m in measurements:
        cell = cells.setdefault(m.credit, Cell())
        if twin := next((other for other in cell.seeds if other.seeds == m.seeds), None):
            raise RecordError(f"{twin.file} and {m.file} are one row with equal seeds but different hashes.")
        cell.seeds.append(m)
    name = f"{first.provenance}: {first.model}, {first.title}, {first.setting['steps']} steps"
    lines = [_cell_texts(cells.get(credit), cells.get(BASELINE), credit) for credit in ROWS]
    return Group(name, _columns(first.metric), lines, f"{name}. {_chance_note(cells)}", CAUTION[first.provenance])


def _cell_texts(cell: Cell | None, baseline: Cell | None, credit: str) -> tuple[str, ...]:
    if cell is None:
        return (EMPTY,) * len(_columns(""))
    low, high = wilson_interval(cell.correct, cell.n)
    compared = baseline if credit != BASELINE else None
    difference = f"{cell.score - compared.score:+z.2f}" if compared else EMPTY
    return f"{cell.score:.2f}", difference, f"[{100 * low:.2f}, {100 * high:.2f}]", str(cell.n), str(len(cell.seeds))


def _chance_note(cells: dict[str, Cell]) -> str:
    seeds = {
        c: ", ".join(" ".join(f"{k} {v}" for k, v in m.seeds.items()) for m in cell.seeds) for c, cell in cells.items()
    }
    smallest = min(cell.n for cell in cells.values())
    rate = sum(cell.correct for cell in cells.values()) / sum(cell.n for cell in cells.values())
    points = f"{100 * detectable_difference(rate, smallest):.2f} points" if 0 < rate < 1 else EMPTY
    return (
        f"Seeds: {_by_row(seeds)}. n per cell: {_by_row({c: str(cell.n) for c, cell in cells.items()})}. "
        "Scores are means over seeds; intervals are Wilson's over the pooled answers and leave out the spread between "
        f"training seeds. Smallest difference detectable between two cells: {points} (n = {smallest} each, rate "
        f"{100 * rate:.1f}%, 95% two-sided, 80% power, unpaired two-proportion normal approximation)."
        f"{_time_note(cells)}"
    )


def _time_note(cells: dict[str, Cell]) -> str:
    shares = [
        100 * m.kawhi_share for cell in cells.values() for m in cell.seeds if m.kawhi_share and m.credit != BASELINE
    ]
    if not shares:
        return ""
    return f" KAWHI's parts took {min(shares):.1f} to {max(shares):.1f}% of the time of a step (timing_s/kawhi_*)."


def _by_row(texts: dict[str, str]) -> str:
    """One text when all rows agree, else each row's."""
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{ROWS[credit][0]}: {texts[credit]}" for credit in ROWS if credit in texts)


def to_markdown(table: Table) -> str:
    """GitHub's Markdown; the heads of the groups are its header, the columns' names its first, bold line."""
    heads = ["", *(text for g in table.groups for text in (g.head, *[""] * (len(g.columns) - 1)))]
    names = ["Experiment", *(name for g in table.groups for name in g.columns)]
    rule = ["---", *["---:"] * (len(names) - 1)]
    body = [[_markdown(text) for text in line] for line in table.lines()]
    body[table.ours] = [f"**{text}**" if i == 0 else text for i, text in enumerate(body[table.ours])]
    lines = [[_markdown(h) for h in heads], rule, [f"**{_markdown(name)}**" for name in names], *body]
    notes = [f"- {_markdown(g.note)}" for g in table.groups]
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([_markdown(table.caption), "", *rows, "", *notes, f"- Produced by `{table.command}`.", ""])


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*<`])", r"\\\1", text)


def to_latex(table: Table) -> str:
    """A document of class ``standalone``: compiles alone, or is included where the package of that name is loaded."""
    heads, rules, column = [""], [], 2
    for g in table.groups:
        last = column + len(g.columns) - 1
        heads.append(rf"\multicolumn{{{len(g.columns)}}}{{c}}{{{_latex_head(g)}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{last}}}")
        column = last + 1
    names = ["Experiment", *(name for g in table.groups for name in g.columns)]
    body = [" & ".join(map(_latex, line)) + r" \\" for line in table.lines()]
    body[table.ours] = r"\rowcolor[gray]{0.92} " + body[table.ours]
    notes = [_latex(g.note) for g in table.groups] + [rf"Produced by \texttt{{{_latex(table.command)}}}."]
    return "\n".join(
        [
            f"% {table.caption}",
            "% A document that includes this file loads standalone and the three packages below itself.",
            r"\documentclass[varwidth=\maxdimen,border=4pt]{standalone}",
            *(r"\usepackage{booktabs}", r"\usepackage{threeparttable}", r"\usepackage[table]{xcolor}"),
            *(r"\begin{document}", r"\begin{threeparttable}"),
            rf"\begin{{tabular}}{{l{'r' * (len(names) - 1)}}}",
            *(r"\toprule", " & ".join(heads) + r" \\", " ".join(rules)),
            *(" & ".join(map(_latex, names)) + r" \\", r"\midrule", *body, r"\bottomrule", r"\end{tabular}"),
            *(r"\begin{tablenotes}\footnotesize", *(rf"\item {note}" for note in notes), r"\end{tablenotes}"),
            *(r"\end{threeparttable}", r"\end{document}", ""),
        ]
    )


def _latex_head(group: Group) -> str:
    """A group's head; the caution stands on a line of its own so that it does not stretch the columns."""
    if not group.caution:
        return _latex(group.name)
    return rf"\begin{{tabular}}{{@{{}}c@{{}}}}{_latex(group.name)}\\({_latex(group.caution)})\end{{tabular}}"


def _latex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"}
    if re.fullmatch(r"[+-][0-9.]+", text):
        return f"${text}$"
    return re.sub(r"[\\~^–&%$#_{}]", lambda found: special.get(found[0], "\\" + found[0]), text)


def to_csv(table: Table) -> str:
    """One header line; every column's name carries its group's head."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["Experiment", *(f"{g.head}: {name}" for g in table.groups for name in g.columns)])
    writer.writerows(table.lines())
    return text.getvalue()


def show(table: Table) -> None:
    """Prints the table: on a terminal each group is drawn by itself, which fits its width; a pipe gets Markdown."""
    console = Console()
    if not console.is_terminal:
        print(to_markdown(table), end="")
        return
    console.print(Text(table.caption))
    for g in table.groups:
        drawn = TerminalTable("Experiment", title=Text(g.head), title_justify="left")
        for name in g.columns:
            drawn.add_column(name, justify="right")
        for label, cells in zip(table.rows, g.cells, strict=True):
            drawn.add_row(label, *map(Text, cells))
        console.print(drawn, Text(g.note))
    console.print(Text(f"Produced by {table.command}"))


def main(arguments: list[str] | None = None) -> int:
    """Command line; nothing is written unless every record is sound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", choices=["region_selection"], default="region_selection")
    parser.add_argument("--records", type=Path, default=ROOT / "results" / "records")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "tables")
    given = parser.parse_args(arguments)
    try:
        table = region_selection(read_records(given.records))
    except RecordError as error:
        print(error, file=sys.stderr)
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    for ending, text in {"md": to_markdown(table), "tex": to_latex(table), "csv": to_csv(table)}.items():
        (given.out / f"{given.table}.{ending}").write_text(text, encoding="utf-8")
    show(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
