"""The project page's figure 4: five chart benchmarks as a radar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.parts import Drawn, caption, described, files_of, lines, not_run
from analysis.figures.series import Panel, Records, panels, score, split
from analysis.paper import paper_tables
from kawhi.style.overlays import GREY, INK, LINE, VERMILION

CHARTS = {
    "kawhi_charxiv_descriptive": "CharXiv Desc",
    "kawhi_charxiv_reasoning": "CharXiv Rea",
    "kawhi_chartqa": "Chart QA",
    "kawhi_chartqapro": "Chart QAPro",
    "kawhi_chartmimic": "Chart Mimic",
}
LOOKS: dict[str, tuple[str, str, Any]] = {
    "base": ("base model (paper only)", GREY, ":"),
    "uniform": ("GRPO", INK, "--"),
    "kawhi": ("GRPO + KAWHI", VERMILION, "-"),
}
PAPER_ROWS = {"base": "Qwen2.5-VL-7B-Instruct", "uniform": "+ GRPO", "kawhi": "+ GRPO + KAWHI (Ours)"}
HOLE = 0.25
"""Radius of an axis' lower end; the upper is 1."""
WIDTH, HEIGHT, TOP, LEGEND = 3.5, 2.75, 1.8, 0.3
"""Inches, which are also the units of a panel: its sides, what is above the centre, and the room of the legend."""


def radar(records: Records) -> Drawn:
    """The paper's table 2, and a panel for each setting whose records have the five benchmarks."""
    found = _measured(records)
    figure, (paper, *own) = _panels(1 + len(found))
    table = paper_tables()["kawhi_2"]
    printed = {key: [table.row(row).cells[title].value for title in CHARTS.values()] for key, row in PAPER_ROWS.items()}
    _draw(paper, printed)
    _title(paper, "paper: Qwen2.5-VL-7B-Instruct\ntable 2")
    for axes, (by_task, _) in zip(own, found, strict=True):
        first = next(iter(by_task.values()))
        scores = {key: [_value(by_task[task], key) for task in CHARTS] for key in ("uniform", "kawhi")}
        _draw(axes, scores)
        _title(axes, lines(first))
    handles = [
        Line2D([], [], color=colour, linestyle=dashes, label=label) for key, (label, colour, dashes) in LOOKS.items()
    ]
    figure.legend(handles=handles, ncols=3, loc="lower center")
    used = sorted({file for _, files in found for file in files})
    firsts = [next(iter(by_task.values())) for by_task, _ in found]
    text = caption(
        "Scores on five chart benchmarks. Each axis has its own ends, which are printed, and all axes of a panel span "
        "equally many points. The base model is the paper's alone. Points are means over seeds.",
        *(described(p, _counts(by_task)) for p, (by_task, _) in zip(firsts, found, strict=True)),
        not_run(firsts),
        files=used,
    )
    return Drawn(figure, text, tuple(used))


def ends(values: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Lower and upper end of each axis, whole numbers, all equally far apart.

    Args:
        values: by series, then by axis.
    """
    columns = list(zip(*values, strict=True))
    lows = [math.floor(min(column) - 0.3) for column in columns]
    span = max(math.ceil(max(column) + 0.1) - low for column, low in zip(columns, lows, strict=True))
    return [(low, low + span) for low in lows]


def _measured(records: Records) -> list[tuple[dict[str, Panel], tuple[str, ...]]]:
    """By benchmark, panels of one title with GRPO and KAWHI on all five."""
    titles: dict[str, dict[str, Panel]] = {}
    for task in CHARTS:
        for panel in panels(records, task=task, credits=("uniform", "kawhi")):
            for part in split(panel):
                if part.algorithm == "grpo" and part.of("uniform") and part.of("kawhi"):
                    titles.setdefault(part.title, {})[task] = part
    return [(each, files_of(each.values())) for each in titles.values() if len(each) == len(CHARTS)]


def _value(panel: Panel, credit: str) -> float:
    series = panel.of(credit)
    assert series is not None
    return score(series, panel.task).value


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
    names = list(CHARTS.values())
    angles = [math.pi / 2 - 2 * math.pi * i / len(names) for i in range(len(names))]
    scales = ends(list(values.values()))

    def place(radius: float, angle: float) -> tuple[float, float]:
        return radius * math.cos(angle), radius * math.sin(angle)

    for radius in (HOLE, (1 + HOLE) / 2, 1.0):
        ring = [place(radius, angle) for angle in [*angles, angles[0]]]
        axes.plot(*zip(*ring, strict=True), color=LINE, linewidth=0.5, zorder=1)
    for angle, name, (low, high) in zip(angles, names, scales, strict=True):
        axes.plot(*zip(place(HOLE, angle), place(1, angle), strict=True), color=LINE, linewidth=0.5, zorder=1)
        x, y = place(1.08, angle)
        across = "center" if abs(x) < 0.1 else "left" if x > 0 else "right"
        axes.text(x, y, f"{name}\n{low} to {high}", ha=across, va="bottom" if y > 0.9 else "center", fontsize=7)
        x, y = place(HOLE - 0.1, angle)
        axes.text(x, y, str(low), ha="center", va="center", fontsize=7, color=GREY)
    for key, row in values.items():
        label, colour, dashes = LOOKS[key]
        radii = [HOLE + (1 - HOLE) * (v - low) / (high - low) for v, (low, high) in zip(row, scales, strict=True)]
        points = [place(radius, angle) for radius, angle in zip(radii, angles, strict=True)]
        axes.plot(*zip(*points, points[0], strict=True), color=colour, linestyle=dashes, label=label, zorder=3)
    axes.set(xlim=(-WIDTH / 2, WIDTH / 2), ylim=(TOP - HEIGHT, TOP))
    axes.axis("off")
