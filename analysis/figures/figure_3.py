"""Figure 3: the drop of MME's total without each head, against the threshold."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.figures.parts import WIDE, Drawn, caption, light_grid, not_run
from analysis.figures.series import WORDS, Records
from kawhi.records.schema import HeadsRecord
from kawhi.style.overlays import BLUE, INK, VERMILION


def figure_3(records: Records) -> Drawn | None:
    """A row of bars for each record of the study ``heads``; ``kawhi.probes.head_figure`` has the subtasks of one."""
    found = {file.name: record for file, record in sorted(records.items()) if isinstance(record, HeadsRecord)}
    if not found:
        return None
    found = dict(sorted(found.items(), key=lambda pair: (pair[1].provenance, pair[0])))  # measured before tiny
    figure = Figure(figsize=(WIDE, 0.4 + 1.8 * len(found)))
    rows = figure.subplots(len(found), 1, squeeze=False).ravel()
    for axes, record in zip(rows, found.values(), strict=True):
        block = record.heads
        heads = [row["head"] for row in block["heads"]]
        places = range(len(heads))
        colours = [VERMILION if row["critical"] else BLUE for row in block["heads"]]
        axes.bar(
            places,
            [row["drop"] for row in block["heads"]],
            width=0.7 * min(1.0, max(0.3, len(heads) / 14)),
            color=colours,
        )
        ends = [row["drop_interval"] for row in block["heads"]]
        axes.vlines(places, [low for low, _ in ends], [high for _, high in ends], color=INK, linewidth=0.9)
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.axhline(block["threshold"], color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.set_xticks(places, [str(head) for head in heads])
        axes.set_xlim(-0.6, len(heads) - 0.4)
        axes.set_ylabel("drop of MME's total\n(points)")
        light_grid(axes)
        axes.set_title(f"{WORDS[record.provenance]}: {record.model.name}, b = {block['baseline']['total']:.1f} points")
    rows[-1].set_xlabel("index of the head that is off in every decoder layer")
    handles = [
        Patch(color=VERMILION, label="vision-critical: drop above the threshold"),
        Patch(color=BLUE, label="other heads"),
        Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label="threshold"),
        Line2D([], [], color=INK, linewidth=0.9, label="95 % of other images"),
    ]
    figure.legend(handles=handles, ncols=4, loc="outside lower center")
    said = [
        f"{WORDS[r.provenance].capitalize()}: {r.model.name}, threshold {r.heads['threshold']:g} points, "
        f"n = {sum(r.heads['pairs'].values())} images, critical heads {r.heads['critical_heads']}."
        for r in found.values()
    ]
    text = caption(
        "MME without each head. The paper's bars are given only as a drawing; appendix A lists its critical heads.",
        *said,
        not_run(found.values()),
        files=tuple(found),
    )
    return Drawn(figure, text, tuple(found))
