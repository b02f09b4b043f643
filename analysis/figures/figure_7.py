"""Figure 7: the score against skip_ratio."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures.parts import (
    INTERVALS,
    Drawn,
    counted,
    files_of,
    finished,
    grid,
    light_grid,
    lines,
    note,
    padded,
    with_interval,
)
from analysis.figures.series import Panel, Records, Series, credited, parts, score, tasks
from analysis.paper import paper_tables
from kawhi.style.overlays import INK, VERMILION

RATIO = "kawhi.regions.skip_ratio"
DEFAULT = 0.7
TICKS = (0.1, 0.3, 0.5, DEFAULT, 0.9)
BASE = "uniform"
BASE_LINE: dict[str, Any] = {"color": INK, "linewidth": 1.0, "linestyle": (0, (4, 2))}


def figure_7(records: Records) -> Drawn:
    """A panel for each benchmark of the paper, and for each benchmark and setting with another ratio than 0.7."""
    titles = tasks(records, credited("kawhi"))
    found = parts(records, titles, credited("kawhi", BASE), varied, RATIO, beside=(BASE,))
    columns = paper_tables()["kawhi_figure_7"].columns
    figure, axes = grid(len(columns) + len(found), 3, 2.35)
    for each, column in zip(axes, columns, strict=False):
        _printed(each, column)
    for each, panel in zip(axes[len(columns) :], found, strict=True):
        _sweep(each, panel)
        each.set_title(lines(panel, titles[panel.task]))
        padded(each)
    for each in axes:
        each.set(xlim=(0, 1), xticks=TICKS, xlabel="skip_ratio", ylabel="score (%)")
        light_grid(each)
    handles = [
        Line2D([], [], color=VERMILION, marker="o", label="GRPO + KAWHI"),
        Line2D([], [], **BASE_LINE, label="GRPO (band: its interval)"),
    ]
    figure.legend(handles=handles, ncols=2, loc="outside lower center")
    return finished(
        figure,
        found,
        files_of(found),
        "Score against skip_ratio; 0.7 is the default. The paper draws five ratios and names 0.7 the best; printed are "
        "only its scores at 0.7 and of GRPO, in table 3.",
        INTERVALS if found else "",
        *(counted(panel, titles[panel.task]) for panel in found),
    )


def ratio(series: Series) -> float:
    return series.method.get(RATIO, DEFAULT)


def varied(panel: Panel) -> bool:
    """Whether a panel has another ratio than the default."""
    return any(ratio(series) != DEFAULT for series in panel.series if series.credit != BASE)


def _printed(axes: Axes, column: str) -> None:
    printed = paper_tables()["kawhi_3"]
    axes.plot([DEFAULT], [printed.row("GRPO+KAWHI (Ours)").cells[column].value], "o", color=VERMILION)
    axes.axhline(printed.row("GRPO").cells[column].value, **BASE_LINE)
    axes.set_title(f"paper: Qwen2.5-VL-7B-Instruct\nGRPO, table 3\n{column}")
    padded(axes, 0.5)
    note(axes, "other ratios only drawn")


def _sweep(axes: Axes, panel: Panel) -> None:
    there = [(ratio(s), score(s, panel.task)) for s in panel.series if s.credit != BASE]
    there.sort(key=lambda pair: pair[0])
    axes.plot([x for x, _ in there], [s.value for _, s in there], color=VERMILION, linewidth=0.8, label="sweep")
    for x, found in there:
        with_interval(axes, x, found, VERMILION)
    if base := panel.of(BASE):
        found = score(base, panel.task)
        axes.axhline(found.value, **BASE_LINE)
        if found.low is not None and found.high is not None:
            axes.axhspan(found.low, found.high, color=INK, alpha=0.08, linewidth=0)
