"""Figure 3: the drop of MME's total without each head, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kawhi.evaluation.benchmarks.mme import PERCEPTION
from kawhi.probes.critical_heads import SUBTASKS
from kawhi.style.figures import STYLE, save
from kawhi.style.overlays import BLUE, INK, VERMILION

THRESHOLD: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 3))}


def draw(found: Mapping[str, Any], name: str, files: tuple[Path, ...]) -> None:
    """Writes the figure, one file per suffix.

    Args:
        found: of :func:`kawhi.probes.critical_heads.summary`.
        name: of the model, for the title.
    """
    save(figure_of(found, name), files)


@matplotlib.style.context(STYLE)
def figure_of(found: Mapping[str, Any], name: str) -> Figure:
    """Bars of the drops over a heat map of heads and subtasks."""
    figure = Figure(figsize=(min(12.0, max(7.0, 3.0 + 0.28 * len(found["heads"]))), 6.4))
    bars, heat = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.4))
    draw_drops(bars, found)
    bars.grid(axis="y")
    _draw_subtasks(heat, found)
    total, most = found["baseline"]["total"], 200 * len(SUBTASKS)
    figure.suptitle(f"{name}: MME without each head, b = {total:.1f} of {most} points")
    handles = [
        Patch(color=VERMILION, label=f"vision-critical: drop above {found['threshold']:g} (dashed)"),
        Patch(color=BLUE, label="other heads"),
        Line2D([], [], color=INK, linewidth=1.0, label="95 % of other images (bootstrap)"),
    ]
    figure.legend(handles=handles, ncols=3, loc="outside lower center")
    return figure


def draw_drops(axes: Axes, found: Mapping[str, Any], width: float = 0.72) -> None:
    """The drop without each head, with its interval, and the threshold."""
    rows = found["heads"]
    places, colours = range(len(rows)), [VERMILION if row["critical"] else BLUE for row in rows]
    axes.bar(places, [row["drop"] for row in rows], width=width, color=colours)
    axes.vlines(places, *zip(*(row["drop_interval"] for row in rows), strict=True), color=INK, linewidth=0.9)
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.axhline(found["threshold"], **THRESHOLD)
    axes.set_xticks(places, [str(row["head"]) for row in rows])
    axes.set_ylabel("drop of MME's total\n(points)")


def _draw_subtasks(axes: Axes, found: Mapping[str, Any]) -> None:
    rows, base = found["heads"], found["baseline"]["subtasks"]
    change = np.array([[row["subtasks"][subtask] - base[subtask] for row in rows] for subtask in SUBTASKS])
    limit = max(1.0, float(np.abs(change).max()))
    shown = axes.imshow(change, cmap="RdBu", norm=TwoSlopeNorm(0, -limit, limit), aspect="auto")
    axes.axhline(len(PERCEPTION) - 0.5, color=INK, linewidth=1.0)
    axes.set_yticks(range(len(SUBTASKS)), [f"{each}  {base[each]:.0f}" for each in SUBTASKS])
    axes.tick_params(length=0)
    for label, row in zip(axes.get_xticklabels(), rows, strict=True):
        label.set_color(VERMILION if row["critical"] else INK)
    axes.set_xlabel("index of the head that is off in every decoder layer")
    axes.set_ylabel("subtask and its points in b")
    bar = axes.figure.colorbar(shown, ax=axes, pad=0.02, aspect=30, label="change of the subtask (points)")
    bar.outline.set_visible(False)  # type: ignore[operator]
