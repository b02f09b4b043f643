"""Figure 1a: the shares of the five kinds of errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from kawhi.probes.error_attribution import CATEGORIES
from kawhi.style.overlays import BLUE, GREY, INK, LINE, VERMILION

PAPER_VP = 48.9
"""Percent; the paper's share of VP on MathVerse, section 1.  Its other shares are given in the figure only."""


def draw(found: Mapping[str, Any], files: tuple[Path, ...]) -> None:
    """Writes the figure, one file per suffix, of what ``errors.json`` says."""
    figure = figure_of(found)
    try:
        for file in files:
            figure.savefig(file, dpi=160)
    finally:
        plt.close(figure)


def figure_of(found: Mapping[str, Any]) -> Figure:
    """Bars with intervals; the paper's number only beside the benchmark that it is of."""
    figure, axes = plt.subplots(figsize=(7.2, 3.7), layout="constrained")
    names = list(CATEGORIES)
    percent = [100 * found["shares"][name]["share"] for name in names]
    low = [100 * found["shares"][name]["low"] for name in names]
    high = [100 * found["shares"][name]["high"] for name in names]
    axes.barh(names, percent, color=[VERMILION, *[BLUE] * (len(names) - 1)], height=0.66, zorder=2)
    axes.hlines(names, low, high, color=INK, linewidth=1.2, zorder=3)
    clear = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}  # no grid line through a number
    for y, name in enumerate(names):
        label = f"{percent[y]:.1f} %  ({found['counts'][name]})"
        axes.annotate(
            label, (high[y], y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9, bbox=clear
        )
    if found["benchmark"] == "kawhi_mathverse":
        axes.plot([PAPER_VP] * 2, [-0.42, 0.42], color=INK, linewidth=1.4, linestyle=(0, (3, 2)), zorder=4)
        axes.annotate(
            f"paper: {PAPER_VP} % (MathVerse)",
            (PAPER_VP, 0.42),
            xytext=(0, -3),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
            bbox=clear,
        )
    axes.set_yticks(
        range(len(names)),
        [f"{name}\n{text}" if name != text.title() else name for name, text in CATEGORIES.items()],
        fontsize=9,
    )
    axes.invert_yaxis()
    axes.set_xlim(0, min(118.0, max(high) * 1.25 + 8))
    axes.set_xticks([tick for tick in range(0, 101, 10) if tick <= axes.get_xlim()[1]])
    axes.set_xlabel("share of the wrong answers (%), with 95 % simultaneous intervals")
    axes.set_title(
        f"{found['benchmark']}: {found['wrong']} wrong answers of {found['samples']}, judge {found['judge']['name']}",
        loc="left",
        fontsize=10.5,
    )
    axes.grid(axis="x", color=LINE, linewidth=0.6, zorder=0)
    axes.tick_params(length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    return figure
