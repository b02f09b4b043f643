"""Figure 3: the drop of MME's total without each head, against the threshold."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.figures.parts import WIDE, Drawn, finished, light_grid
from analysis.figures.series import WORDS, Records, of_study
from kawhi.records.schema import HeadsRecord
from kawhi.style.overlays import BLUE, INK, VERMILION

THRESHOLD: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 3))}


def figure_3(records: Records) -> Drawn | None:
    """A row of bars for each record of the study ``heads``; ``kawhi.probes.head_figure`` has the subtasks of one."""
    found = of_study(records, HeadsRecord)
    if not found:
        return None
    figure = Figure(figsize=(WIDE, 0.4 + 1.8 * len(found)))
    rows = figure.subplots(len(found), 1, squeeze=False).ravel()
    for axes, record in zip(rows, found.values(), strict=True):
        _bars(axes, record.heads)
        baseline = record.heads["baseline"]["total"]
        axes.set_title(f"{WORDS[record.provenance]}: {record.model.name}, b = {baseline:.1f} points")
    rows[-1].set_xlabel("index of the head that is off in every decoder layer")
    handles = [
        Patch(color=VERMILION, label="vision-critical: drop above the threshold"),
        Patch(color=BLUE, label="other heads"),
        Line2D([], [], **THRESHOLD, label="threshold"),
        Line2D([], [], color=INK, linewidth=0.9, label="95 % of other images"),
    ]
    figure.legend(handles=handles, ncols=4, loc="outside lower center")
    said = [
        f"{WORDS[r.provenance].capitalize()}: {r.model.name}, threshold {r.heads['threshold']:g} points, "
        f"n = {sum(r.heads['pairs'].values())} images, critical heads {r.heads['critical_heads']}."
        for r in found.values()
    ]
    text = "MME without each head. The paper's bars are given only as a drawing; appendix A lists its critical heads."
    return finished(figure, found.values(), tuple(found), text, *said)


def _bars(axes: Axes, block: dict[str, Any]) -> None:
    heads = block["heads"]
    places = range(len(heads))
    colours = [VERMILION if row["critical"] else BLUE for row in heads]
    axes.bar(places, [row["drop"] for row in heads], width=0.7 * min(1.0, max(0.3, len(heads) / 14)), color=colours)
    low, high = zip(*(row["drop_interval"] for row in heads), strict=True)
    axes.vlines(places, low, high, color=INK, linewidth=0.9)
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.axhline(block["threshold"], **THRESHOLD)
    axes.set_xticks(places, [str(row["head"]) for row in heads])
    axes.set_xlim(-0.6, len(heads) - 0.4)
    axes.set_ylabel("drop of MME's total\n(points)")
    light_grid(axes)
