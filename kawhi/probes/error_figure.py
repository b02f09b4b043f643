"""Figure 1a: the shares of the five kinds of errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

from kawhi.probes.error_attribution import CATEGORIES
from kawhi.style.figures import STYLE, save
from kawhi.style.overlays import BLUE, INK, VERMILION

PAPER_VP = 48.9
"""Percent; the paper's share of VP on MathVerse, section 1.  Its other shares are given in the figure only."""


def draw(found: Mapping[str, Any], files: tuple[Path, ...]) -> None:
    """Writes the figure of what ``errors.json`` says, one file per suffix."""
    save(figure_of(found), files)


@matplotlib.style.context(STYLE)
def figure_of(found: Mapping[str, Any]) -> Figure:
    """Bars with intervals; the paper's number only beside the benchmark that it is of."""
    figure = Figure(figsize=(7.0, 3.2))
    axes = figure.subplots()
    names = list(CATEGORIES)
    shares = [found["shares"][name] for name in names]
    percent, low, high = ([100 * share[key] for share in shares] for key in ("share", "low", "high"))
    axes.barh(names, percent, color=[VERMILION, *[BLUE] * (len(names) - 1)], height=0.66)
    axes.hlines(names, low, high, color=INK)
    clear = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}  # no grid line through a number
    by: dict[str, Any] = {"textcoords": "offset points", "bbox": clear}
    for y, name in enumerate(names):
        text = f"{percent[y]:.1f} %  ({found['counts'][name]})"
        axes.annotate(text, (high[y], y), xytext=(6, 0), va="center", **by)
    if found["benchmark"] == "kawhi_mathverse":
        axes.plot([PAPER_VP] * 2, [-0.42, 0.42], color=INK, linewidth=1.4, linestyle=(0, (3, 2)))
        paper = f"paper: {PAPER_VP} % (MathVerse)"
        axes.annotate(paper, (PAPER_VP, 0.42), xytext=(0, -3), ha="center", va="top", **by)
    labels = [f"{name}\n{text}" if name != text.title() else name for name, text in CATEGORIES.items()]
    axes.set_yticks(range(len(names)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, min(118.0, max(high) * 1.25 + 8))
    axes.set_xticks([tick for tick in range(0, 101, 10) if tick <= axes.get_xlim()[1]])
    axes.set_xlabel("share of the wrong answers (%), with 95 % simultaneous intervals")
    axes.set_title(
        f"{found['benchmark']}: {found['wrong']} wrong answers of {found['samples']}, judge {found['judge']['name']}"
    )
    axes.grid(axis="x")
    axes.tick_params(length=0)
    return figure
