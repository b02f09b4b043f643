"""Figure 4: KAWHI with VisionZip in place of SGUF."""

from __future__ import annotations

from dataclasses import replace

from matplotlib.axes import Axes

from analysis.figures.parts import (
    CLEAR,
    INTERVALS,
    Drawn,
    counted,
    files_of,
    finished,
    grid,
    light_grid,
    lines,
    padded,
    with_interval,
)
from analysis.figures.series import Panel, Records, Series, credited, parts, score, tasks
from analysis.paper import paper_tables
from kawhi.style.overlays import BLUE, VERMILION

STRATEGY = "kawhi.regions.strategy"
SELECTORS = {"sguf": ("SGUF", VERMILION, "o"), "visionzip": ("VisionZip 50 %", BLUE, "s")}


def figure_4(records: Records) -> Drawn:
    """The paper's three drops, and a panel of two points for each benchmark and setting that has both selectors."""
    asked = credited("kawhi")
    titles = tasks(records, asked)
    found = [
        replace(panel, series=tuple(by_selector(panel).values()))
        for panel in parts(records, titles, asked, lambda panel: len(by_selector(panel)) == len(SELECTORS), STRATEGY)
    ]
    figure, (paper, *own) = grid(1 + len(found), 3, 2.35)
    _printed(paper)
    for axes, panel in zip(own, found, strict=True):
        _points(axes, panel)
        axes.set_title(lines(panel, titles[panel.task]))
    said = [counted(panel, titles[panel.task]) for panel in found]
    text = "KAWHI under GRPO with SGUF and with VisionZip at 50 % of the vision tokens. Paper: Qwen2.5-VL-7B-Instruct."
    return finished(figure, found, files_of(found), text, INTERVALS if found else "", *said)


def by_selector(panel: Panel) -> dict[str, Series]:
    """The panel's series by what selects their visual tokens, in the order of :data:`SELECTORS`."""
    found = {series.method.get(STRATEGY, "sguf"): series for series in panel.series}
    return {name: found[name] for name in SELECTORS if name in found}


def _printed(axes: Axes) -> None:
    cells = paper_tables()["kawhi_section_4_4"].row("VisionZip").cells
    heights = [cell.value for cell in cells.values()]
    axes.bar([column.removesuffix(" drop") for column in cells], heights, width=0.5, color=BLUE)
    for x, cell in enumerate(cells.values()):
        axes.text(x, cell.value, cell.text, ha="center", va="bottom")
    axes.set_ylim(0, 1.25 * max(heights))
    axes.set_ylabel("drop with VisionZip (points)")
    axes.set_title("paper: section 4.4\nonly the drops are printed\nQwen2.5-VL-7B-Instruct")


def _points(axes: Axes, panel: Panel) -> None:
    values, names = [], []
    for x, (selector, series) in enumerate(by_selector(panel).items()):
        label, colour, marker = SELECTORS[selector]
        found = score(series, panel.task)
        with_interval(axes, x, found, colour, marker, label=label)
        place = (x, found.value)
        axes.annotate(f"{found.value:.2f}", place, (6, 0), textcoords="offset points", va="center", bbox=CLEAR)
        values.append(found.value)
        names.append(f"{label}\n{series.seeds}")
    padded(axes)
    axes.set_xticks(range(2), names)
    axes.set_xlim(-0.5, 1.7)
    axes.set_ylabel("score (%)")
    axes.set_xlabel(f"drop {values[0] - values[1]:.2f} points".replace("-", "−"))
    light_grid(axes)
