"""The project page's figure 4: five chart benchmarks as a radar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.parts import Drawn, described, files_of, finished, lines
from analysis.figures.series import Panel, Records, Trained, known, parts, score
from analysis.paper import paper_tables
from analysis.paper_layout import layouts
from kawhi.style.overlays import GREY, INK, LINE, VERMILION

CHARTS = {task: name for name, task in layouts()["chart_table"].columns.items()}
LOOKS: dict[str, tuple[str, str, Any]] = {
    "base": ("base model (paper only)", GREY, ":"),
    "uniform": ("GRPO", INK, "--"),
    "kawhi": ("GRPO + KAWHI", VERMILION, "-"),
}
METHODS = ("uniform", "kawhi")
PAPER_ROWS = {"base": "Qwen2.5-VL-7B-Instruct", "uniform": "+ GRPO", "kawhi": "+ GRPO + KAWHI (Ours)"}
HOLE = 0.25
"""Radius of an axis' lower end; the upper is 1."""
WIDTH, HEIGHT, TOP, LEGEND = 3.5, 2.75, 1.8, 0.3
"""Inches, which are also the units of a panel: its sides, what is above the centre, and the room of the legend."""


def radar(records: Records) -> Drawn:
    """The paper's table 2, and a panel for each setting whose records have the five benchmarks."""
    found = _measured(records)
    firsts = [by_task[next(iter(CHARTS))] for by_task in found]
    figure, (paper, *own) = _panels(1 + len(found))
    _draw(paper, {key: _printed(row) for key, row in PAPER_ROWS.items()})
    _title(paper, "paper: Qwen2.5-VL-7B-Instruct\ntable 2")
    for axes, by_task, first in zip(own, found, firsts, strict=True):
        _draw(axes, {key: _values(by_task, key) for key in METHODS})
        _title(axes, lines(first))
    handles = [Line2D([], [], color=colour, linestyle=dashes, label=label) for label, colour, dashes in LOOKS.values()]
    figure.legend(handles=handles, ncols=3, loc="lower center")
    return finished(
        figure,
        firsts,
        files_of(panel for by_task in found for panel in by_task.values()),
        "Scores on five chart benchmarks. Each axis has its own ends, which are printed, and all axes of a panel span "
        "equally many points. The base model is the paper's alone. Points are means over seeds.",
        *(described(first, _counts(by_task)) for first, by_task in zip(firsts, found, strict=True)),
    )


def _printed(row: str) -> list[float]:
    cells = paper_tables()["kawhi_2"].row(row).cells
    return [cells[name].value for name in CHARTS.values()]


def ends(values: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Lower and upper end of each axis, whole numbers, all equally far apart.

    Args:
        values: by series, then by axis.
    """
    columns = list(zip(*values, strict=True))
    lows = [math.floor(min(column) - 0.3) for column in columns]
    span = max(math.ceil(max(column) + 0.1) - low for column, low in zip(columns, lows, strict=True))
    return [(low, low + span) for low in lows]


def _measured(records: Records) -> list[dict[str, Panel]]:
    """By benchmark, panels of one title with GRPO and KAWHI on all five."""
    titles: dict[str, dict[str, Panel]] = {}
    for panel in parts(records, CHARTS, _asked, lambda panel: all(map(panel.of, METHODS)), beside=METHODS[:1]):
        titles.setdefault(panel.title, {})[panel.task] = panel
    return [each for each in titles.values() if len(each) == len(CHARTS)]


def _asked(record: Trained) -> bool:
    return known(record) in METHODS


def _values(by_task: Mapping[str, Panel], credit: str) -> list[float]:
    series = [by_task[task].of(credit) for task in CHARTS]
    return [score(own, task).value for task, own in zip(CHARTS, series, strict=True) if own]


def _counts(by_task: Mapping[str, Panel]) -> str:
    counts = ", ".join(f"{CHARTS[task]} {score(p.series[0], task).n}" for task, p in by_task.items())
    return f"n = {counts}"


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """Panels in inches: what keeps its aspect is placed by hand, else titles are laid out before the box shrinks."""
    columns = min(2, count)
    rows = -(-count // columns)
    wide, high = WIDTH * columns, HEIGHT * rows + LEGEND
    figure = Figure(figsize=(wide, high))
    figure.set_layout_engine("none")
    corners = [(i % columns * WIDTH, high - HEIGHT * (1 + i // columns)) for i in range(count)]
    return figure, [figure.add_axes((x / wide, y / high, WIDTH / wide, HEIGHT / high)) for x, y in corners]


def _title(axes: Axes, text: str) -> None:
    """Inside the panel, at its upper left corner."""
    axes.set_title(text, x=0.02, y=0.97, pad=0, va="top")


def _draw(axes: Axes, values: Mapping[str, Sequence[float]]) -> None:
    angles = [math.pi / 2 - 2 * math.pi * i / len(CHARTS) for i in range(len(CHARTS))]
    scales = ends(list(values.values()))
    for radius in (HOLE, (1 + HOLE) / 2, 1.0):
        _ring(axes, [radius] * len(angles), angles, color=LINE, linewidth=0.5, zorder=1)
    for angle, name, (low, high) in zip(angles, CHARTS.values(), scales, strict=True):
        axes.plot(*zip(_place(HOLE, angle), _place(1, angle), strict=True), color=LINE, linewidth=0.5, zorder=1)
        x, y = _place(1.08, angle)
        across = "center" if abs(x) < 0.1 else "left" if x > 0 else "right"
        axes.text(x, y, f"{name}\n{low} to {high}", ha=across, va="bottom" if y > 0.9 else "center", fontsize=7)
        x, y = _place(HOLE - 0.1, angle)
        axes.text(x, y, str(low), ha="center", va="center", fontsize=7, color=GREY)
    for key, row in values.items():
        label, colour, dashes = LOOKS[key]
        radii = [HOLE + (1 - HOLE) * (v - low) / (high - low) for v, (low, high) in zip(row, scales, strict=True)]
        _ring(axes, radii, angles, color=colour, linestyle=dashes, label=label, zorder=3)
    axes.set(xlim=(-WIDTH / 2, WIDTH / 2), ylim=(TOP - HEIGHT, TOP))
    axes.axis("off")


def _place(radius: float, angle: float) -> tuple[float, float]:
    return radius * math.cos(angle), radius * math.sin(angle)


def _ring(axes: Axes, radii: Sequence[float], angles: Sequence[float], **look: Any) -> None:
    points = [*map(_place, radii, angles)]
    axes.plot(*zip(*points, points[0], strict=True), **look)
