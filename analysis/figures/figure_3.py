"""Figure 3: the drop of MME's total without each head, against the threshold."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.figures.parts import WIDE, Drawn, finished, light_grid
from analysis.figures.series import WORDS, Records, of_study
from kawhi.probes.head_figure import THRESHOLD, draw_drops
from kawhi.records.schema import HeadsRecord
from kawhi.style.overlays import BLUE, INK, VERMILION


def figure_3(records: Records) -> Drawn | None:
    """A row of bars for each record of the study ``heads``; ``kawhi.probes.head_figure`` has the subtasks of one."""
    found = of_study(records, HeadsRecord)
    if not found:
        return None
    figure = Figure(figsize=(WIDE, 0.4 + 1.8 * len(found)))
    rows = figure.subplots(len(found), 1, squeeze=False).ravel()
    for axes, record in zip(rows, found.values(), strict=True):
        count = len(record.heads["heads"])
        draw_drops(axes, record.heads, width=0.7 * min(1.0, max(0.3, count / 14)))
        axes.set_xlim(-0.6, count - 0.4)
        light_grid(axes)
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
