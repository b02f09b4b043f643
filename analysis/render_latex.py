"""Tables as LaTeX, to be included: booktabs, subscripted differences, bold best, grey rows for the method itself.

A file has one ``table`` or ``longtable`` and needs the packages of :data:`PACKAGES`.  Groups stand side by side where a
page of A4 is wide enough for them, else below each other.  A group without any number that finds no room beside another
one is left to its note.
"""

from __future__ import annotations

import re

from analysis.latex_text import code, latex, prose
from analysis.render import notes_of
from analysis.table import Group, Source, Table, Value
from kawhi.records.folder import record_name

PACKAGES = ("booktabs", "longtable", "[table]{xcolor}")
WIDTH = 478
"""Points of a line: 17 cm, and a little less, because the widths of letters are estimated."""
LABEL, NARROW = 190, 90
"""Points that labels of rows are given before groups go below each other, and those that they always have."""
SPACE = 8
"""Points between columns."""
LONG = 44
"""Lines that a table can have before it is one that goes over several pages."""
SHORT, HEAD = 14, 9
"""Lines of a panel that is never broken, and lines that are needed above and below its own."""

_POINTS = {
    **dict.fromkeys("ijl.,:;'|![]", 2.6),
    **dict.fromkeys("frst()-/ I", 3.5),
    **dict.fromkeys("mwMW%+−×", 7.2),
}


def to_latex(table: Table) -> str:
    """A fragment for ``\\input``; its first lines say, as comments, where each number comes from."""
    head = [
        table.caption,
        f"Produced by {table.command}; needs {', '.join(PACKAGES)}.",
        *(f"{at}: {_told(source)}" for source, at in table.anchors.items()),
    ]
    comments = [f"% {' '.join(line.split())}" for line in head]
    return "\n".join([*comments, r"\providecommand{\hyperlink}[2]{#2}", *fragment(table), ""])


def fragment(table: Table, page: int = LONG) -> list[str]:
    """The lines without comments.

    Args:
        page: lines from which on the table may be broken over pages.
    """
    notes = [*(prose(note) for note in notes_of(table)), rf"Produced by {code(table.command)}."]
    panels = _panels(table)
    long = len(panels) * (len(table.rows) + len(table.blocks) + 4) > page
    return _long(table, panels, notes) if long else _float(table, panels, notes)


def _told(source: Source) -> str:
    files = ", ".join(map(record_name, source.records))
    return f"{source.label}: {source.place or ' and '.join(source.commands)}{f' ({files})' if files else ''}"


def _panels(table: Table) -> list[list[Group]]:
    """Groups that stand side by side."""
    panels: list[list[Group]] = []
    for group in table.groups:
        if panels and _width(table, [*panels[-1], group]) <= WIDTH:
            panels[-1].append(group)
        else:
            panels.append([group])
    filled = [panel for panel in panels if any(group.numbers for group in panel)]
    return filled or panels[:1]


def _float(table: Table, panels: list[list[Group]], notes: list[str]) -> list[str]:
    lines = [r"\begin{table}[htbp]", r"\centering\footnotesize\setlength{\tabcolsep}{4pt}"]
    lines += [rf"\caption{{{prose(table.caption)}}}", rf"\label{{tab:{table.name}}}"]
    for number, groups in enumerate(panels):
        lines += [r"\par\medskip"] if number else []
        lines += [rf"\begin{{tabular}}{{{_columns(table, groups)}}}", r"\toprule", *_head(table, groups), r"\midrule"]
        lines += [*_body(table, groups), r"\bottomrule", r"\end{tabular}"]
    return [*lines, r"\par\smallskip", *_notes(notes), r"\end{table}"]


def _long(table: Table, panels: list[list[Group]], notes: list[str]) -> list[str]:
    """One ``longtable`` for each panel, all with one number; a short panel stays on its page."""
    lines = [r"\begingroup\footnotesize\setlength{\tabcolsep}{4pt}\setlength{\LTcapwidth}{\linewidth}"]
    for number, groups in enumerate(panels):
        head = [r"\toprule", *_head(table, groups), r"\midrule"]
        caption = rf"\caption{{{prose(table.caption)}}}\label{{tab:{table.name}}} \\"
        body = _body(table, groups)
        short = len(body) <= SHORT
        # A page that ended between a head and its first rows would show the head twice.
        needed = (len(body) if short else 5) + HEAD
        lines += [rf"\par\penalty0 \ifdim\dimexpr\pagegoal-\pagetotal<{needed}\baselineskip\newpage\fi"]
        # The anchor of a number that is counted again needs a name of its own.
        lines += [r"\addtocounter{table}{-1}", rf"\def\theHtable{{{table.name}.{number}}}"] if number else []
        lines += [rf"\begin{{longtable}}{{{_columns(table, groups)}}}"]
        lines += [_again(groups, f"part {number + 1}") if number else caption, *head, r"\endfirsthead"]
        lines += [_again(groups, "continued"), *head, r"\endhead", r"\bottomrule", r"\endfoot"]
        kept = range(len(body)) if short else (0, 1, *range(len(body) - 3, len(body)))
        lines += [_kept(line) if i in kept else line for i, line in enumerate(body)]
        lines += [r"\end{longtable}"]
    return [*lines, r"\nopagebreak\vskip-\medskipamount", *_notes(notes), r"\endgroup"]


def _again(groups: list[Group], words: str) -> str:
    return rf"\multicolumn{{{_count(groups)}}}{{l}}{{\textit{{Table \thetable, {words}}}}} \\"


def _kept(line: str) -> str:
    """No page ends after it."""
    return re.sub(r"\\\\$", r"\\\\*", line)


def _notes(notes: list[str]) -> list[str]:
    lines = [rf"{note}\par" for note in notes]
    return [r"\noindent\begin{minipage}{\linewidth}\scriptsize\raggedright", *lines, r"\end{minipage}\par"]


def _columns(table: Table, groups: list[Group]) -> str:
    """Labels are broken where they would take the numbers' room."""
    room = max(NARROW, WIDTH - SPACE - sum(sum(_column_widths(g)) for g in groups))
    first = "l" if _label_width(table) <= room else rf">{{\raggedright\arraybackslash}}p{{{room:.0f}pt}}"
    return first + "r" * (_count(groups) - 1)


def _count(groups: list[Group]) -> int:
    return 1 + sum(len(g.columns) for g in groups)


def _head(table: Table, groups: list[Group]) -> list[str]:
    heads, rules, column = [""], [], 2
    for g in groups:
        last = column + len(g.columns) - 1
        heads.append(rf"\multicolumn{{{len(g.columns)}}}{{c}}{{{_group_head(g)}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{last}}}")
        column = last + 1
    names = [latex(table.title), *(rf"\multicolumn{{1}}{{r}}{{{latex(name)}}}" for g in groups for name in g.columns)]
    return [" & ".join(heads) + r" \\", " ".join(rules), " & ".join(names) + r" \\"]


def _group_head(group: Group) -> str:
    """The caution stands on a line of its own so that it does not stretch the columns."""
    lines = [latex(line) for line in _wrapped(group.name, group)]
    lines += [latex(line) for line in _wrapped(f"({group.caution})", group)] if group.caution else []
    if len(lines) == 1:
        return lines[0]
    return r"\begin{tabular}{@{}c@{}}" + r"\\".join(map(_guarded, lines)) + r"\end{tabular}"


def _guarded(first: str) -> str:
    """After the end of a line a bracket would be read as its height."""
    return f"{{}}{first}" if first[:1] in ("[", "*") else first


def _wrapped(text: str, group: Group) -> list[str]:
    """Lines that are not wider than the group's columns."""
    room, lines = max(90, sum(_column_widths(group))), [""]
    for word in text.split():
        if lines[-1] and points(f"{lines[-1]} {word}") > room:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _body(table: Table, groups: list[Group]) -> list[str]:
    lines = []
    widest = [[_widest([line[j] for line in g.cells]) for j in range(len(g.columns))] for g in groups]
    for i, label in enumerate(table.rows):
        if i in table.blocks:
            lines += [r"\midrule"] if i else []
            lines.append(rf"\multicolumn{{{_count(groups)}}}{{l}}{{\textit{{{latex(table.blocks[i])}}}}} \\*")
        cells = [
            _guarded(prose(label)),
            *(_cell(table, cell, *widest[k][j]) for k, g in enumerate(groups) for j, cell in enumerate(g.cells[i])),
        ]
        grey = r"\rowcolor[gray]{0.92} " if i in table.ours else ""
        lines.append(grey + " & ".join(cells) + r" \\")
    return lines


def _widest(cells: list[Value]) -> tuple[str, str]:
    """The longest difference and the longest gain of a column: every cell has their room, so that numbers align."""
    return max((c.delta for c in cells), key=points, default=""), max((c.gain for c in cells), key=points, default="")


def _cell(table: Table, cell: Value, delta: str, gain: str) -> str:
    text = latex(cell.text)
    text = rf"\textbf{{{text}}}" if cell.best else text
    if cell.source is not None:
        text = rf"\hyperlink{{{table.anchors[cell.source]}}}{{{text}}}"
    text += _or_room(f"$_{{{_subscript(cell.delta or delta)}}}$" if delta else "", cell.delta)
    return text + _or_room(rf" {{\scriptsize({latex(cell.gain or gain)})}}" if gain else "", cell.gain)


def _or_room(text: str, there: str) -> str:
    return text if there or not text else rf"\phantom{{{text}}}"


def _subscript(text: str) -> str:
    if re.fullmatch("[↓↑+−0-9. -]*", text):
        return text.replace("↓", r"\downarrow ").replace("↑", r"\uparrow ").replace("−", "-")
    return rf"\mbox{{\tiny {latex(text)}}}"


def _label_width(table: Table) -> float:
    return max(map(points, (table.title, *table.rows)))


def _width(table: Table, groups: list[Group]) -> float:
    return min(LABEL, _label_width(table)) + SPACE + sum(sum(_column_widths(g)) for g in groups)


def _column_widths(group: Group) -> list[float]:
    """Of the columns, with the space between them; a subscript takes three quarters of its length."""
    widths = []
    for j, name in enumerate(group.columns):
        cells = [line[j] for line in group.cells]
        longest = max((_cell_width(cell) for cell in cells), default=0.0)
        widths.append(SPACE + max(points(name), longest))
    return widths


def _cell_width(cell: Value) -> float:
    gain = 0.85 * points(f" ({cell.gain})") if cell.gain else 0.0
    return points(cell.text) + 0.75 * points(cell.delta) + gain


def points(text: str) -> float:
    """Width of a text of 8 points, rather too much than too little."""
    return sum(_POINTS.get(sign, 6.2 if sign.isupper() else 4.4) for sign in text)
