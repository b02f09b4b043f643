"""Figure 2 of ToR: reasoning tokens alone and perception tokens alone, beside all tokens and ToR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from omegaconf import OmegaConf

from analysis.figures.parts import (
    INTERVALS,
    Drawn,
    counted,
    files_of,
    finished,
    grid,
    light_grid,
    lines,
    with_interval,
)
from analysis.figures.series import Panel, Records, Score, Series, credited, panels, score, tasks
from analysis.paper import paper_tables
from kawhi.base.checkout import configuration_folder
from kawhi.records.schema import PROVENANCES
from kawhi.style.overlays import BLUE, GREEN, INK, VERMILION

SHARES = (0.2, 0.3, 0.5)
"""Of the tokens that are trained: figure 2 has these of tables 1 and 2."""
KINDS = {"reasoning": ("tor_1", VERMILION), "perception": ("tor_2", BLUE)}
OPTIONS = "kawhi.options."
TYPES, SHARE = f"{OPTIONS}types", f"{OPTIONS}{{}}_share"
LINES: dict[str, dict[str, Any]] = {
    "uniform": {"color": INK, "linewidth": 1.0, "linestyle": (0, (4, 2))},
    "tor": {"color": GREEN, "linewidth": 1.2},
}
_WIDE = 0.38


def tor_figure_2(records: Records) -> Drawn:
    """A panel for each benchmark of the paper, and for each benchmark and setting with one kind of tokens alone."""
    titles = tasks(records, credited("tor"))
    found = _panels(records, titles)
    columns = paper_tables()["tor_1"].columns
    figure, axes = grid(len(columns) + len(found), 3, 2.35)
    for each, column in zip(axes, columns, strict=False):
        _printed(each, column)
    for each, panel in zip(axes[len(columns) :], found, strict=True):
        _measured(each, panel)
        each.set_title(lines(panel, titles[panel.task]))
    for each in axes:
        each.set(xticks=range(len(SHARES)), xticklabels=[f"{share:.0%}" for share in SHARES], ylabel="score (%)")
        each.set_xlabel("share of tokens that are trained")
        light_grid(each)
        _between(each)
    figure.legend(handles=_handles(), ncols=4, loc="outside lower center")
    return finished(
        figure,
        found,
        files_of(found),
        "One kind of tokens alone, by the share that is trained, beside all tokens and ToR (its tables 1, 2 and 4). "
        "The paper draws We-Math and says that either kind alone is below GRPO. No axis begins at 0.",
        INTERVALS if found else "",
        *(counted(panel, titles[panel.task]) for panel in found),
    )


def _handles() -> list[Any]:
    return [
        *(Patch(color=colour, label=f"{kind} tokens alone") for kind, (_, colour) in KINDS.items()),
        Line2D([], [], **LINES["uniform"], label="GRPO: all tokens"),
        Line2D([], [], **LINES["tor"], label="ToR"),
    ]


def _panels(records: Records, titles: Mapping[str, str]) -> list[Panel]:
    """GRPO's, measured before tiny, that have one kind of tokens alone."""
    asked = credited("tor", "uniform")
    every = [panel for task in titles for panel in panels(records, task=task, asked=asked)]
    found = [panel for panel in every if panel.algorithm == "grpo" and _alone(panel)]
    return sorted(found, key=lambda panel: PROVENANCES.index(panel.provenance))


def _measured(axes: Axes, panel: Panel) -> None:
    _bars(axes, {place: score(series, panel.task) for place, series in _alone(panel).items()})
    for credit, look in LINES.items():
        if series := _as_configured(panel, credit):
            axes.axhline(score(series, panel.task).value, **look)


def _as_configured(panel: Panel, credit: str) -> Series | None:
    """The series of a method with the options of its file in ``conf/credit``: those of the paper's table 4."""
    options: Any = OmegaConf.load(configuration_folder() / "credit" / f"{credit}.yaml").kawhi.options
    for series in panel.series:
        own = {key.removeprefix(OPTIONS): value for key, value in series.method.items() if key.startswith(OPTIONS)}
        if series.credit == credit and all(options.get(name) == value for name, value in own.items()):
            return series
    return None


def _alone(panel: Panel) -> dict[tuple[str, float], Series]:
    """The series of one kind of tokens alone, by the kind and the share."""
    found: dict[tuple[str, float], Series] = {}
    for series in panel.series:
        kind = series.method.get(TYPES)
        if kind in KINDS and series.method.get(SHARE.format(kind)) in SHARES:
            found.setdefault((kind, series.method[SHARE.format(kind)]), series)
    return found


def _printed(axes: Axes, column: str) -> None:
    tables = paper_tables()
    shown = {
        (kind, share): _exactly(tables[key].row(f"{share:.0%}").cells[column].value)
        for kind, (key, _) in KINDS.items()
        for share in SHARES
    }
    _bars(axes, shown)
    for credit, row in (("uniform", "GRPO"), ("tor", "ToR-GRPO")):
        axes.axhline(tables["tor_4"].row(row).cells[column].value, **LINES[credit])
    axes.set_title(f"paper: Qwen2.5-VL-7B, GRPO\n{column}")


def _between(axes: Axes) -> None:
    """From a little below the lowest point, line or interval to a little above the highest."""
    values = [y for line in axes.lines for y in line.get_ydata()]  # type: ignore[union-attr]
    values += [y for intervals in axes.collections for ends in intervals.get_segments() for _, y in ends]  # type: ignore[attr-defined]
    room = max(0.15 * (max(values) - min(values)), 0.5)
    axes.set_ylim(min(values) - room, max(values) + room)


def _exactly(value: float) -> Score:
    return Score(value, None, None, 0, 1)


def _bars(axes: Axes, shown: Mapping[tuple[str, float], Score]) -> None:
    """From the lowest score upwards, so that differences can be seen; their ends are points."""
    for (kind, share), own in shown.items():
        x = SHARES.index(share) + (_WIDE / 2 if kind == "perception" else -_WIDE / 2)
        colour = KINDS[kind][1]
        axes.bar(x, own.value, width=_WIDE, color=colour, alpha=0.35, zorder=1)
        with_interval(axes, x, own, colour)
