"""Figure 3: the drop of MME's total without each head, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kawhi.evaluation.benchmarks.mme import PERCEPTION
from kawhi.probes.critical_heads import SUBTASKS
from kawhi.style.overlays import BLUE, GREY, INK, LINE, VERMILION


def draw(found: Mapping[str, Any], name: str, files: tuple[Path, ...]) -> None:
    """Writes the figure, one file per suffix.

    Args:
        found: of :func:`kawhi.probes.critical_heads.summary`.
        name: of the model, for the title.
    """
    figure = figure_of(found, name)
    try:
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(file, dpi=160)
    finally:
        plt.close(figure)


def figure_of(found: Mapping[str, Any], name: str) -> Figure:
    """Bars of the drops over a heat map of heads and subtasks."""
    rows = found["heads"]
    heads = np.arange(len(rows))
    width = min(14.0, max(7.6, 3.6 + 0.32 * len(rows)))
    figure, (bars, heat) = plt.subplots(
        2, 1, sharex=True, figsize=(width, 7.6), height_ratios=(1, 1.4), layout="constrained"
    )
    drops = np.array([row["drop"] for row in rows])
    ends = np.array([row["drop_interval"] for row in rows])
    colors = [VERMILION if row["critical"] else BLUE for row in rows]
    bars.bar(heads, drops, color=colors, width=0.72, zorder=2)
    bars.vlines(heads, ends[:, 0], ends[:, 1], color=INK, linewidth=1.0, zorder=3)
    bars.axhline(0, color=INK, linewidth=0.8, zorder=3)
    bars.axhline(found["threshold"], color=INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=4)
    bars.grid(axis="y", color=LINE, linewidth=0.6, zorder=0)
    bars.set_ylabel("drop of MME's total (points)")
    figure.suptitle(
        f"{name}: MME without each head, b = {found['baseline']['total']:.1f} of {200 * len(SUBTASKS)} points",
        fontsize=11,
    )
    figure.legend(
        handles=[
            Patch(color=VERMILION, label=f"vision-critical: drop above {found['threshold']:g} (dashed)"),
            Patch(color=BLUE, label="other heads"),
            Line2D([], [], color=INK, linewidth=1.0, label="95 % of other images (bootstrap)"),
        ],
        fontsize=8.5,
        frameon=False,
        ncols=3,
        loc="outside lower center",
    )
    low, high = min(0.0, drops.min(), ends.min()), max(found["threshold"], drops.max(), ends.max())
    bars.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))

    base = found["baseline"]["subtasks"]
    change = np.array([[row["subtasks"][subtask] - base[subtask] for row in rows] for subtask in SUBTASKS])
    limit = max(1.0, float(np.abs(change).max()))
    shown = heat.imshow(change, cmap="RdBu", norm=TwoSlopeNorm(0, -limit, limit), aspect="auto")
    heat.axhline(len(PERCEPTION) - 0.5, color=INK, linewidth=1.0)
    heat.set_yticks(range(len(SUBTASKS)), [f"{each}  {base[each]:.0f}" for each in SUBTASKS], fontsize=8)
    heat.set_xticks(heads, [str(row["head"]) for row in rows], fontsize=8)
    heat.tick_params(length=0)
    for label, row in zip(heat.get_xticklabels(), rows, strict=True):
        label.set_color(VERMILION if row["critical"] else INK)
    heat.set_xlabel("index of the head that is off in every decoder layer")
    heat.set_ylabel("subtask and its points in b")
    bar = figure.colorbar(shown, ax=heat, pad=0.02, aspect=30)
    bar.set_label("change of the subtask (points)")
    bar.outline.set_visible(False)  # type: ignore[operator]
    for axes in (bars, heat):
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
    return figure
