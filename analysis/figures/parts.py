"""What all figures share: the look of a credit method, a grid of panels, and the words of a caption."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.series import WORDS, Panel, Score, score
from kawhi.style.overlays import BLUE, GREEN, GREY, INK, LINE, ORANGE, SKY, VERMILION

PURPLE, YELLOW = "#CC79A7", "#F0E442"
WIDE, NARROW = 7.0, 3.4
"""Inches: both columns of a page, and one."""
INTERVALS = (
    "Lines through a point: with one seed the 95 % interval by items, with several from the lowest to the highest seed."
)
NAMED = 6
"""Records that a caption names; more are counted, and captions.json lists all."""
_COLOURS = (BLUE, GREEN, ORANGE, SKY, PURPLE, GREY)
_DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)))


@dataclass(frozen=True)
class Drawn:
    """A figure, what it shows in sentences, and the names of the records that it was made from."""

    figure: Figure
    caption: str
    files: tuple[str, ...]


def looks(credits: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Look of each credit method; the base algorithm and KAWHI are thick, below the others, and always the same."""
    made: dict[str, dict[str, Any]] = {
        "uniform": {"color": INK, "linestyle": "-", "linewidth": 1.6, "zorder": 4},
        "kawhi": {"color": VERMILION, "linestyle": "-", "linewidth": 1.6, "zorder": 5},
    }
    pairs = [(colour, dashes) for dashes, colour in product(_DASHES, _COLOURS)]
    for i, credit in enumerate(sorted(set(credits) - set(made))):
        colour, dashes = pairs[i % len(pairs)]
        made[credit] = {"color": colour, "linestyle": dashes, "linewidth": 0.8, "zorder": 6}
    return made


def grid(count: int, columns: int, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """Panels of equal size, row by row, ``height`` inches each; as wide as the page from two columns on."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(NARROW if columns == 1 else WIDE, height * rows))
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def with_interval(axes: Axes, x: float, found: Score, colour: str, marker: str = "o", **options: Any) -> None:
    """A point and, where there is one, the line from ``low`` to ``high``."""
    if found.low is not None and found.high is not None:
        axes.vlines(x, found.low, found.high, color=colour, linewidth=1.0, zorder=2)
    axes.plot([x], [found.value], marker, color=colour, zorder=3, **options)


def padded(axes: Axes, share: float = 0.12, least: float = 0.5) -> None:
    """Room above and below what is drawn."""
    low, high = axes.dataLim.intervaly
    room = max(share * (high - low), least)
    axes.set_ylim(low - room, high + room)


def note(axes: Axes, text: str, y: float = 0.03) -> None:
    """A remark inside a panel, at its lower edge."""
    axes.text(0.5, y, text, transform=axes.transAxes, ha="center", va="bottom", fontsize=7, color=GREY)


def lines(panel: Panel, below: str = "") -> str:
    """A narrow panel's title: provenance and model, the run, and ``below`` with the setting."""
    last = ", ".join(part for part in (below, panel.setting) if part)
    return "\n".join([panel.head, panel.run, *([last] if last else [])])


CLEAR = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
"""Behind a number, so that no line of the grid goes through it."""


def finished(figure: Figure, panels: Iterable[Any], files: Sequence[str], *sentences: str) -> Drawn:
    """With a caption: sentences, what was not run, and the records.

    Args:
        panels: what has a provenance.
    """
    named = ", ".join(files) if 0 < len(files) <= NAMED else f"{len(files)} records, listed in captions.json"
    told = [*sentences, not_run(panels), f"Records: {named}." if files else "No record was used."]
    return Drawn(figure, " ".join(sentence for sentence in told if sentence), tuple(files))


def not_run(panels: Iterable[Any]) -> str:
    """Which provenance has no panel."""
    there = {panel.provenance for panel in panels}
    missing = [words for provenance, words in WORDS.items() if provenance not in there]
    return f"No records of this: {', '.join(missing)}." if missing else ""


def described(panel: Panel, counted: str = "") -> str:
    """A panel's title and its series with their seeds."""
    own = ", ".join(
        f"{series.name} ({series.seeds}{f', {series.differs}' if series.differs else ''})" for series in panel.series
    )
    more = "".join(f", {text}" for text in (panel.differs and f"with {panel.differs}", counted) if text)
    return f"{panel.title[0].upper()}{panel.title[1:]}{more}: {own}."


def files_of(panels: Iterable[Panel]) -> tuple[str, ...]:
    return tuple(sorted({file for panel in panels for series in panel.series for file in series.records}))


def counted(panel: Panel, title: str) -> str:
    """A panel of one benchmark."""
    return described(panel, f"{title}, n = {score(panel.series[0], panel.task).n}")


def light_grid(axes: Axes, axis: str = "y") -> None:
    axes.grid(axis=axis, color=LINE, linewidth=0.4)  # type: ignore[arg-type]
