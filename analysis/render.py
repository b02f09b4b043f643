"""Tables as Markdown, LaTeX, CSV and on a terminal."""

from __future__ import annotations

import csv
import io
import re

from rich.console import Console
from rich.table import Table as TerminalTable
from rich.text import Text

from analysis.table import Group, Table

LATEX = {  # what a backslash before it does not print
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "…": r"\dots{}"},
    **{"×": r"$\times$", "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}"},
}


def to_markdown(table: Table) -> str:
    """GitHub's Markdown; the heads of the groups are its header, the columns' names its first, bold line."""
    heads = ["", *(text for g in table.groups for text in (g.head, *[""] * (len(g.columns) - 1)))]
    names = ["Experiment", *(name for g in table.groups for name in g.columns)]
    rule = ["---", *["---:"] * (len(names) - 1)]
    body = [[_markdown(text) for text in line] for line in table.lines()]
    if table.highlighted is not None:
        body[table.highlighted][0] = f"**{body[table.highlighted][0]}**"
    lines = [[_markdown(h) for h in heads], rule, [f"**{_markdown(name)}**" for name in names], *body]
    notes = [f"- {_markdown(note)}" for note in _notes(table)]
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([_markdown(table.caption), "", *rows, "", *notes, f"- Produced by `{table.command}`.", ""])


def _notes(table: Table) -> list[str]:
    return [*(g.note for g in table.groups), *table.notes]


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
    if table.highlighted is not None:
        body[table.highlighted] = r"\rowcolor[gray]{0.92} " + body[table.highlighted]
    notes = [_latex(note) for note in _notes(table)] + [rf"Produced by \texttt{{{_latex(table.command)}}}."]
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
    if re.fullmatch(r"[+-][0-9.]+", text):
        return f"${text}$"
    return re.sub(r"[\\~^|<>–…×&%$#_{}]", lambda found: LATEX.get(found[0], "\\" + found[0]), text)


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
    console.print(*map(Text, (*table.notes, f"Produced by {table.command}")), sep="\n")
