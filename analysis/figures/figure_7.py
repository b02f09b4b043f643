"""Figure 7: the score against skip_ratio."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures.parts import (
    INTERVALS,
    Drawn,
    caption,
    described,
    files_of,
    grid,
    light_grid,
    lines,
    not_run,
    note,
    padded,
    with_interval,
)
from analysis.figures.series import Panel, Records, panels, score, split, tasks
from analysis.paper import paper_tables
from kawhi.style.overlays import INK, VERMILION

RATIO = "kawhi.regions.skip_ratio"
RATIOS = {"kawhi_skip_0_1": 0.1, "kawhi_skip_0_3": 0.3, "kawhi_skip_0_5": 0.5, "kawhi": 0.7, "kawhi_skip_0_9": 0.9}
SWEEP = {"kawhi_skip_0_1", "kawhi_skip_0_3", "kawhi_skip_0_5", "kawhi_skip_0_9"}
BASE = "uniform"


def figure_7(records: Records) -> Drawn:
    """A panel for each benchmark of the paper, and for each benchmark and setting with another ratio than 0.7."""
    methods = {*RATIOS, BASE}
    titles = tasks(records, SWEEP)
    found: list[Panel] = []
    for task in titles:
        made = [part for p in panels(records, task=task, credits=methods) for part in split(p, RATIO)]
        found += [p for p in made if p.algorithm == "grpo" and any(map(p.of, SWEEP))]
    found.sort(key=lambda panel: panel.provenance)  # measured before tiny
    printed = paper_tables()["kawhi_3"]
    columns = paper_tables()["kawhi_figure_7"].columns
    figure, axes = grid(len(columns) + len(found), 3, 2.35)
    for each, column in zip(axes, columns, strict=False):
        each.plot([0.7], [printed.row("GRPO+KAWHI (Ours)").cells[column].value], "o", color=VERMILION)
        each.axhline(printed.row("GRPO").cells[column].value, color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
        each.set_title(f"paper: Qwen2.5-VL-7B-Instruct\nGRPO, table 3\n{column}")
        padded(each, 0.5)
        note(each, "other ratios only drawn")
    for each, panel in zip(axes[len(columns) :], found, strict=True):
        _sweep(each, panel)
        each.set_title(lines(panel, titles[panel.task]))
        padded(each)
    for each in axes:
        each.set(xlim=(0, 1), xticks=list(RATIOS.values()), xlabel="skip_ratio", ylabel="score (%)")
        light_grid(each)
    handles = [
        Line2D([], [], color=VERMILION, marker="o", label="GRPO + KAWHI"),
        Line2D([], [], color=INK, linewidth=1.0, linestyle=(0, (4, 2)), label="GRPO (band: its interval)"),
    ]
    figure.legend(handles=handles, ncols=2, loc="outside lower center")
    said = [described(p, f"{titles[p.task]}, n = {score(p.series[0], p.task).n}") for p in found]
    files = files_of(found)
    text = caption(
        "Score against skip_ratio; 0.7 is the default. The paper draws five ratios and names 0.7 the best; printed are "
        "only its scores at 0.7 and of GRPO, in table 3.",
        INTERVALS if found else "",
        *said,
        not_run(found),
        files=files,
    )
    return Drawn(figure, text, files)


def _sweep(axes: Axes, panel: Panel) -> None:
    there = [(RATIOS[s.credit], score(s, panel.task)) for s in panel.series if s.credit in RATIOS]
    there.sort(key=lambda pair: pair[0])
    axes.plot([x for x, _ in there], [s.value for _, s in there], color=VERMILION, linewidth=0.8, label="sweep")
    for x, found in there:
        with_interval(axes, x, found, VERMILION)
    if base := panel.of(BASE):
        found = score(base, panel.task)
        axes.axhline(found.value, color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
        if found.low is not None and found.high is not None:
            axes.axhspan(found.low, found.high, color=INK, alpha=0.08, linewidth=0)
