"""Reward, length, entropy and mean weight at each training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.figures.parts import WIDE, Drawn, described, files_of, finished, light_grid, looks, note
from analysis.figures.series import Panel, Records, Series, panels

CURVES = {
    "reward": "reward",
    "response_length": "length (tokens)",
    "entropy": "entropy",
    "weight_mean": "mean weight",
}
HELD_OUT = {"held_out": "held-out accuracy"}
"""A further panel where a training was asked for it, every so many steps."""
MAIN = ("uniform", "kawhi")
"""Thick, and with bands; a dozen bands would hide each other."""
MOST = 6
"""Lines beside those in one panel: as many as there are colours."""
MARKERS = ("o", "s", "^", "D", "v")


def training_curves(records: Records) -> Drawn | None:
    """A row of four panels for each setting, of five where held-out data was scored."""
    whole = [panel for panel in panels(records) if any(map(_logged, panel.series))]
    if not whole:
        return None
    found = [few for panel in whole for few in _few(panel)]
    shared = len(found) == len(whole)
    every = [series for panel in found for series in panel.series]
    asked = any(_curves(series, name) is not None for series in every for name in HELD_OUT)
    figure = _figure([found] if shared else [[panel] for panel in found], CURVES | (HELD_OUT if asked else {}))
    return finished(figure, found, files_of(found), *_said(every, shared, asked), *map(described, whole))


def _said(every: Sequence[Series], shared: bool, asked: bool) -> tuple[str, str]:
    """Sentences of the caption."""
    text = "Reward, response length, entropy and mean weight at each training step, one line per credit method."
    text += f" GRPO and KAWHI stand in every row beside at most {MOST} others." * (not shared)
    text += " Held-out accuracy: the share of right greedy answers to held-out problems." * asked
    bands = "Lines are means over seeds; the bands of the two thick ones go from the lowest to the highest seed."
    return text, bands * any(len(series.records) > 1 for series in every)


def _figure(groups: list[list[Panel]], curves: Mapping[str, str]) -> Figure:
    """A legend below each group of rows."""
    legends = [names(group) for group in groups]
    heights = [1.75 * len(group) + 0.16 * -(-len(own) // 4) + 0.1 for group, own in zip(groups, legends, strict=True)]
    figure = Figure(figsize=(WIDE, sum(heights)))
    alone = len(groups) == 1
    parts: list[Any] = [figure] if alone else [*figure.subfigures(len(groups), 1, height_ratios=heights)]
    for part, group, labels in zip(parts, groups, legends, strict=True):
        _draw(part, group, curves, labels)
    return figure


def _few(panel: Panel) -> list[Panel]:
    """A panel, or several of it where one would have more lines than an eye can tell apart."""
    main = [series for series in panel.series if series.credit in MAIN]
    others = [series for series in panel.series if series.credit not in MAIN]
    count = -(-len(others) // MOST)
    if count < 2:
        return [panel]
    size = -(-len(others) // count)
    groups = [others[start : start + size] for start in range(0, len(others), size)]
    return [replace(panel, series=(*main, *group)) for group in groups]


def _draw(
    figure: Figure | SubFigure, found: list[Panel], curves: Mapping[str, str], labels: dict[tuple[str, int], str]
) -> None:
    """Rows of panels and the legend below them."""
    own_look = looks(credit for credit, _ in labels)
    for row, panel in zip(figure.subplots(len(found), len(curves), squeeze=False), found, strict=True):
        _row(row.tolist(), curves, panel, own_look)
    handles = [
        Line2D([], [], **own_look[credit], **_marker(number), label=label) for (credit, number), label in labels.items()
    ]
    figure.legend(handles=handles, ncols=4, loc="outside lower center")


def names(found: list[Panel]) -> dict[tuple[str, int], str]:
    """A legend's entries; a method whose label names the base algorithm is called the same in all panels."""
    entries: dict[tuple[str, int], str] = {}
    one = len({panel.algorithm for panel in found}) == 1
    for panel in found:
        for series in panel.series:
            plain = {"uniform": "base algorithm", "kawhi": "base algorithm + KAWHI"}.get(series.credit, series.label)
            name = series.label if one else plain
            name = f"{name} (setting {series.number})" if series.number else name
            entries.setdefault((series.credit, series.number), name)
    return entries


def _row(row: list[Axes], shown: Mapping[str, str], panel: Panel, own_look: dict) -> None:
    for axes, (name, title) in zip(row, shown.items(), strict=True):
        for series in panel.series:
            curves = _curves(series, name)
            if curves is None:
                continue
            steps = np.arange(1, curves.shape[1] + 1)
            if name in HELD_OUT:
                steps, curves = steps[~np.isnan(curves).all(axis=0)], curves[:, ~np.isnan(curves).all(axis=0)]
            look = own_look[series.credit]
            axes.plot(steps, curves.mean(axis=0), **look, **_marker(series.number), label=series.name)
            if len(curves) > 1 and series.credit in MAIN:
                axes.fill_between(
                    steps, curves.min(axis=0), curves.max(axis=0), color=look["color"], alpha=0.15, linewidth=0
                )
        if not axes.lines:
            note(axes, "not recorded", y=0.5)
        axes.set_xlabel("step")
        axes.set_ylabel(title)
        axes.set_xlim(1, max(2, panel.steps))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        light_grid(axes)
    row[0].set_title(panel.title)


def _logged(series: Series) -> bool:
    return any(_curves(series, name) is not None for name in CURVES)


def _marker(number: int) -> dict[str, Any]:
    """Settings of one method share its colour and its dashes."""
    return {"marker": MARKERS[number % len(MARKERS)] if number > 1 else "", "markersize": 2.5}


def _curves(series: Series, name: str) -> NDArray[np.float64] | None:
    """``(seeds, steps)`` with NaN where a step did not log it; ``None`` where no seed has the curve."""
    own = [getattr(record.training, name) for record in series.records.values() if getattr(record.training, name)]
    return np.array(own, dtype=np.float64) if own else None
