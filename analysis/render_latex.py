"""Tables as LaTeX, to be included: booktabs, subscripted differences, bold best, grey rows for the method itself.

A file has one ``table`` or ``longtable`` and needs the packages of :data:`PACKAGES`.  Groups stand side by side where a
page of A4 is wide enough for them, else below each other.
"""

from __future__ import annotations

import re

from analysis.render import notes_of
from analysis.table import Group, Source, Table, Value

PACKAGES = ("booktabs", "longtable", "[table]{xcolor}")
WIDTH = 104
"""Characters of a line of a table in its size of type, on 17 cm."""
LONG = 40
"""Rows that a page can have."""
_SIGNS = {
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "…": r"\dots{}"},
    **{"×": r"$\times$", "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}", "↓": r"$\downarrow$"},
    **{"−": "$-$", "→": r"$\rightarrow$", "±": r"$\pm$", "≥": r"$\geq$", "≤": r"$\leq$"},
}


def to_latex(table: Table) -> str:
    """A fragment for ``\\input``; its first lines say, as comments, where each number comes from."""
    sources = [f"% {at}: {_told(source)}" for source, at in table.anchors.items()]
    head = [
        f"% {' '.join(table.caption.split())}",
        f"% Produced by {table.command}; needs {', '.join(PACKAGES)}.",
        *sources,
        r"\providecommand{\hyperlink}[2]{#2}",
    ]
    notes = [*(latex(note) for note in notes_of(table)), rf"Produced by {code(table.command)}."]
    panels = [table.groups] if _width(table, table.groups) <= WIDTH else [[group] for group in table.groups]
    long = any(len(table.rows) + len(table.blocks) > LONG for _ in panels)
    body = _long(table, panels, notes) if long else _float(table, panels, notes)
    return "\n".join([*head, *body, ""])


def _told(source: Source) -> str:
    files = ", ".join(file.name for file in source.records)
    return f"{source.label}: {source.place or ' and '.join(source.commands)}{f' ({files})' if files else ''}"


def _float(table: Table, panels: list[list[Group]], notes: list[str]) -> list[str]:
    lines = [r"\begin{table}[htbp]", r"\centering\footnotesize\setlength{\tabcolsep}{4pt}"]
    lines += [rf"\caption{{{latex(table.caption)}}}", rf"\label{{tab:{table.name}}}"]
    for number, groups in enumerate(panels):
        lines += [r"\par\medskip"] if number else []
        names = _names(table, groups)
        lines += [rf"\begin{{tabular}}{{l{'r' * (len(names) - 1)}}}", r"\toprule", *_head(table, groups), r"\midrule"]
        lines += [*_body(table, groups), r"\bottomrule", r"\end{tabular}"]
    return [*lines, r"\par\smallskip", *_notes(notes), r"\end{table}"]


def _long(table: Table, panels: list[list[Group]], notes: list[str]) -> list[str]:
    lines = [r"\begingroup\footnotesize\setlength{\tabcolsep}{4pt}"]
    for number, groups in enumerate(panels):
        names = _names(table, groups)
        more = "" if number == 0 else r" (continued)"
        label = rf"\label{{tab:{table.name}}}" if number == 0 else ""
        lines += [rf"\begin{{longtable}}{{l{'r' * (len(names) - 1)}}}"]
        lines += [rf"\caption{'[]' if number else ''}{{{latex(table.caption)}{more}}}{label}\\"]
        lines += [r"\toprule", *_head(table, groups), r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"]
        lines += [*_body(table, groups), r"\end{longtable}"]
        lines += [r"\addtocounter{table}{-1}"] if number else []
    return [*lines, *_notes(notes), r"\endgroup"]


def _notes(notes: list[str]) -> list[str]:
    lines = [rf"{note}\par" for note in notes]
    return [r"\begin{minipage}{\linewidth}\scriptsize\raggedright", *lines, r"\end{minipage}"]


def _names(table: Table, groups: list[Group]) -> list[str]:
    return [table.title, *(name for g in groups for name in g.columns)]


def _head(table: Table, groups: list[Group]) -> list[str]:
    heads, rules, column = [""], [], 2
    for g in groups:
        last = column + len(g.columns) - 1
        heads.append(rf"\multicolumn{{{len(g.columns)}}}{{c}}{{{_group_head(g)}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{last}}}")
        column = last + 1
    names = " & ".join(latex(name) for name in _names(table, groups))
    return [" & ".join(heads) + r" \\", " ".join(rules), names + r" \\"]


def _group_head(group: Group) -> str:
    """The caution stands on a line of its own so that it does not stretch the columns."""
    lines = [latex(line) for line in _wrapped(group.name, group)]
    lines += [latex(line) for line in _wrapped(f"({group.caution})", group)] if group.caution else []
    if len(lines) == 1:
        return lines[0]
    return r"\begin{tabular}{@{}c@{}}" + r"\\".join(lines) + r"\end{tabular}"


def _wrapped(text: str, group: Group) -> list[str]:
    """Lines that are not wider than the group's columns."""
    room, lines = max(20, sum(_column_widths(group))), [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _body(table: Table, groups: list[Group]) -> list[str]:
    lines, width = [], 1 + sum(len(g.columns) for g in groups)
    for i, label in enumerate(table.rows):
        if i in table.blocks:
            lines += [r"\midrule"] if i else []
            lines.append(rf"\multicolumn{{{width}}}{{l}}{{\textit{{{latex(table.blocks[i])}}}}} \\")
        cells = [latex(label), *(_cell(table, cell) for g in groups for cell in g.cells[i])]
        grey = r"\rowcolor[gray]{0.92} " if i in table.ours else ""
        lines.append(grey + " & ".join(cells) + r" \\")
    return lines


def _cell(table: Table, cell: Value) -> str:
    text = latex(cell.text)
    text = rf"\textbf{{{text}}}" if cell.best else text
    if cell.source is not None:
        text = rf"\hyperlink{{{table.anchors[cell.source]}}}{{{text}}}"
    text += f"$_{{{_subscript(cell.delta)}}}$" if cell.delta else ""
    return text + (rf" {{\scriptsize({latex(cell.gain)})}}" if cell.gain else "")


def _subscript(text: str) -> str:
    return text.replace("↓", r"\downarrow ").replace("−", "-")


def _width(table: Table, groups: list[Group]) -> float:
    return max(map(len, (table.title, *table.rows))) + sum(sum(_column_widths(g)) for g in groups)


def _column_widths(group: Group) -> list[float]:
    """In characters, with the space between columns; a subscript takes two thirds of its length."""
    widths = []
    for j, name in enumerate(group.columns):
        cells = [line[j] for line in group.cells]
        longest = max(len(c.text) + 0.67 * len(c.delta) + (0.8 * len(c.gain) + 2 if c.gain else 0) for c in cells)
        widths.append(2 + max(len(name), longest))
    return widths


def latex(text: str) -> str:
    """Text with every special sign escaped; a signed number gets a real minus, an en dash is one."""
    if re.fullmatch(r"[+-][0-9.]+", text):
        return f"${text}$"
    if found := re.fullmatch(r"\[([+-][0-9.]+), ([+-][0-9.]+)\]", text):
        return f"$[{found[1]}, {found[2]}]$"
    signs = "".join(map(re.escape, _SIGNS))
    return re.sub(rf"[{signs}&%$#_{{}}]", lambda found: _SIGNS.get(found[0], "\\" + found[0]), text)


def code(text: str) -> str:
    """A command in typewriter, which may be broken after any punctuation."""
    escaped = re.sub(r"[\\~^&%$#_{}]", lambda found: _SIGNS.get(found[0], "\\" + found[0]), text)
    broken = re.sub(r"(?<=[._=/,-])(?=[^ ])", r"\\allowbreak{}", escaped)
    return rf"\texttt{{{broken}}}"
