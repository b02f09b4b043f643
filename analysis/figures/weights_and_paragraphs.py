"""How often each weight is given, and how many paragraphs a response has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.parts import WIDE, Drawn, described, files_of, finished
from analysis.figures.series import Panel, Records, Series, panels
from kawhi.style.overlays import BLUE, GREY, INK, LINE, VERMILION

BINS = 20
MOST = 10
"""Responses with at least as many paragraphs stand together."""
TALLEST = 0.56
COLOURS = {"uniform": INK, "kawhi": VERMILION}


def weights_and_paragraphs(records: Records) -> Drawn | None:
    """Two panels for each setting, with a row of bars for each credit method."""
    found = [panel for panel in panels(records) if any(map(_recorded, panel.series))]
    if not found:
        return None
    rows = [len(panel.series) for panel in found]
    figure = Figure(figsize=(WIDE, sum(0.75 + 0.4 * count for count in rows)))
    boxes = figure.add_gridspec(len(rows), 2, height_ratios=[1.5 + count for count in rows], width_ratios=(1.5, 1))
    for i, panel in enumerate(found):
        _pair(figure.add_subplot(boxes[i, 0]), figure.add_subplot(boxes[i, 1]), panel)
    return finished(
        figure,
        found,
        files_of(found),
        "Left: share of the tokens of all steps by weight, in 20 bins of [0, 1] and one above. Right: share of the "
        "responses by their number of paragraphs. In each row the highest bar is labelled with its share, and others "
        "are in proportion to it; seeds are added up.",
        *(described(panel, _counted(panel)) for panel in found),
    )


def _pair(left: Axes, right: Axes, panel: Panel) -> None:
    rows = range(len(panel.series))
    _ridge(left, panel, weights, [*np.linspace(0, 1, BINS + 1), 1 + 1 / BINS])
    left.set_xticks([0, 0.25, 0.5, 0.75, 1.0, 1 + 0.5 / BINS + 0.03], ["0", "0.25", "0.5", "0.75", "1", "  >1"])
    left.set_yticks(rows, [series.name for series in panel.series])
    left.set_xlabel("weight")
    left.set_title(panel.title)
    _ridge(right, panel, paragraphs, [k + 0.5 for k in range(MOST + 1)])
    right.set_xticks(range(1, MOST + 1), [*map(str, range(1, MOST)), f"{MOST}+"])
    right.set_yticks(rows, [""] * len(rows))
    right.set_xlabel("paragraphs of a response")


def _recorded(series: Series) -> bool:
    return bool(weights(series) or paragraphs(series))


def weights(series: Series) -> list[int]:
    """Tokens by bin, over all seeds; empty where no record has them."""
    own = [r.training.weight_histogram for r in series.records.values() if r.training.weight_histogram]
    return [sum(column) for column in zip(*own, strict=True)]


def paragraphs(series: Series) -> list[int]:
    """Responses with 1, 2, … and at least :data:`MOST` paragraphs, over all seeds; empty where no record has them."""
    counts = [0] * MOST
    for record in series.records.values():
        for number, responses in (record.training.paragraph_counts or {}).items():
            counts[min(max(int(number), 1), MOST) - 1] += responses
    return counts if any(counts) else []


def _ridge(axes: Axes, panel: Panel, counts: Callable[[Series], list[int]], edges: Sequence[float]) -> None:
    """Rows of bars, each on a line of its own."""
    starts, widths = np.array(edges[:-1]), np.diff(edges)
    for y, series in enumerate(panel.series):
        axes.axhline(y + 0.4, color=LINE, linewidth=0.5, zorder=1)
        own = np.array(counts(series), dtype=float)
        if not own.sum():
            axes.text(edges[0], y, " not recorded", va="center", color=GREY, fontsize=7)
            continue
        heights = TALLEST * own / own.max()
        look: dict[str, Any] = {"color": COLOURS.get(series.credit, BLUE), "align": "edge", "zorder": 2}
        axes.bar(starts, -heights, 0.92 * widths, bottom=y + 0.4, label=series.name, **look)
        top = int(own.argmax())
        text = f"{100 * own.max() / own.sum():.0f} %"
        axes.text(starts[top] + 0.46 * widths[top], y + 0.38 - TALLEST, text, ha="center", va="bottom", fontsize=7)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(len(panel.series) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _counted(panel: Panel) -> str:
    tokens, responses = sum(sum(weights(s)) for s in panel.series), sum(sum(paragraphs(s)) for s in panel.series)
    return f"n = {tokens} tokens and {responses} responses"
