"""Figure 5: where a step's time goes, with and without KAWHI.

Cells without GPUs share the processors of a machine: their seconds on the wall say what else ran, so their steps are
drawn as shares of themselves, beside processor seconds where the record has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis import steps as measured
from analysis.figures.parts import PURPLE, WIDE, YELLOW, Drawn, described, files_of, finished, light_grid
from analysis.figures.series import Panel, Records, Series, panels
from analysis.paper import paper_tables
from kawhi.style.overlays import BLUE, GREEN, GREY, INK, LINE, ORANGE, SKY, VERMILION, mix

# Timer: name, colour, and the timer that contains it.
PARTS: dict[str, tuple[str, str, str]] = {
    "gen": ("generation", BLUE, ""),
    "reward": ("reward", mix(0.55, GREY), ""),
    "old_log_prob": ("old log-probs", SKY, ""),
    "ref": ("reference", mix(0.45, GREEN), ""),
    "update_actor": ("update of the actor", GREEN, ""),
    "update_weights": ("weight sync", PURPLE, ""),
    "save_checkpoint": ("checkpoint", mix(0.4, PURPLE), ""),
    "adv": ("advantages", mix(0.4, ORANGE), ""),
    "kawhi_alignment": ("credit: alignment", VERMILION, "old_log_prob"),
    "kawhi_nucleus_entropy": ("credit: nucleus entropy", YELLOW, "old_log_prob"),
    "kawhi_perturbed_pass": ("credit: pass with a perturbed image", mix(0.7, INK), "old_log_prob"),
    "kawhi_blank_pass": ("credit: pass with a blank image", mix(0.4, INK), "old_log_prob"),
    "kawhi_weights": ("credit: weights", ORANGE, "adv"),
}
REGIONS = "kawhi_regions"
REST = "rest"
HEIGHT = 0.62


def figure_5(records: Records) -> Drawn:
    """The paper's two totals, and two panels per setting: seconds of a step by part, and the parts of credit alone."""
    found = timed(records)
    rows = [2, *(len(panel.series) for panel in found)]
    figure = Figure(figsize=(WIDE, 0.5 + sum(0.55 + 0.24 * count for count in rows) + 0.5 * bool(found)))
    boxes = figure.add_gridspec(len(rows), 2, height_ratios=[1 + count for count in rows], width_ratios=(2.1, 1))
    _paper(figure.add_subplot(boxes[0, :]))
    used: set[str] = set()
    for i, panel in enumerate(found, start=1):
        used |= _pair(figure.add_subplot(boxes[i, 0]), figure.add_subplot(boxes[i, 1]), panel)
    if used:
        figure.legend(handles=_handles(used), ncols=4, loc="outside lower center")
    return finished(
        figure,
        found,
        files_of(found),
        "A training step by part: medians over the steps of all seeds without the first, scaled to the median step; "
        "the line is its 95 % interval by steps. Without GPUs cells share a machine, whose load seconds on the wall "
        "would show: there a step is drawn as 100 %, and the number is its processor seconds where they are known. "
        "Region selection (hatched) runs while responses are generated and is not added to the step. Credit alone: "
        "these parts in % of the step; regions are seconds of all workers together.",
        "Section 4.5 labels the shorter step as the one with KAWHI, and calls the 19.6 s KAWHI's overhead.",
        *map(described, found),
    )


def _handles(used: set[str]) -> list[Patch]:
    handles = [Patch(facecolor=colour, label=label) for part, (label, colour, _) in PARTS.items() if part in used]
    handles += [Patch(facecolor=LINE, label=REST)] if REST in used else []
    label = "credit: regions, during generation"
    return handles + ([Patch(facecolor="white", edgecolor=INK, hatch="////", label=label)] if REGIONS in used else [])


def _pair(steps: Axes, own: Axes, panel: Panel) -> set[str]:
    """Draws a setting; the parts that there are."""
    used: set[str] = set()
    shared = any(map(measured.shares_processors, _records(panel)))
    for y, series in enumerate(panel.series):
        used |= {*_step(steps, y, series, shared), *_credit(own, y, seconds(series))}
    for axes in (steps, own):
        axes.set_ylim(len(panel.series) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        light_grid(axes, "x")
    steps.set_yticks(range(len(panel.series)), [series.name for series in panel.series])
    own.set_yticks([])
    if shared:
        steps.set_xticks(range(0, 101, 20))
    room = 1.25 if not shared else 1.75 if steps.texts else 1
    steps.set_xlim(0, room * steps.dataLim.x1)
    own.set_xlim(0, 1.3 * max(own.dataLim.x1, 0.1))
    steps.set_title(panel.title)
    own.set_title("credit alone")
    steps.set_xlabel("% of the step" if shared else "seconds per step")
    own.set_xlabel("% of the step")
    return used


def _records(panel: Panel) -> list[Any]:
    return [record for series in panel.series for record in series.records.values()]


def timed(records: Records) -> list[Panel]:
    """Panels of the timing study, and of trainings where a model was not timed by itself."""
    timings = panels(records, study="timing")
    models = {(panel.provenance, panel.model) for panel in timings}
    trainings = [p for p in panels(records) if (p.provenance, p.model) not in models and any(map(seconds, p.series))]
    return sorted([*timings, *trainings], key=lambda panel: panel.provenance)  # measured before tiny


def seconds(series: Series) -> dict[str, float]:
    """Each timer of a step, without verl's prefix; empty where no record has a step's.

    Medians over the steps of all seeds; means over seeds of the records' means where one has no timers by step.
    """
    runs = [record.run for record in series.records.values() if "timing_s/step" in record.run.timing_s]
    if runs and all(run.step_timing_s for run in runs):
        names = sorted({name for run in runs for name in run.step_timing_s})
        found = {name: [run.step_timing_s.get(name, []) for run in runs] for name in names}
        return {name.removeprefix("timing_s/"): float(np.median(measured.counted(own))) for name, own in found.items()}
    names = sorted({name for run in runs for name in run.timing_s})
    return {
        name.removeprefix("timing_s/"): sum(run.timing_s.get(name, 0.0) for run in runs) / len(runs) for name in names
    }


def stacked(timers: Mapping[str, float]) -> dict[str, float]:
    """Seconds by part, which add up to the step: parts of credit are taken out of the timer that contains them."""
    alone = {part: timers[part] for part in PARTS if timers.get(part, 0) > 0}
    for part, (_, _, inside) in PARTS.items():
        if part in alone and inside in alone:
            alone[inside] = max(0.0, alone[inside] - alone[part])
    rest = timers.get("step", 0.0) - sum(alone.values())
    return alone | ({REST: rest} if rest > 0 else {})


def _step(axes: Axes, y: int, series: Series, shared: bool) -> list[str]:
    """A bar of the parts, as long as the median step, or as 100 where cells ``shared`` a machine; and its number."""
    records = [*series.records.values()]
    parts = stacked(seconds(series))
    wall = measured.median(measured.seconds(records))
    whole = sum(parts.values())
    length = 100.0 if shared else wall.value if wall else whole
    left = 0.0
    for part, spent in parts.items():
        width = spent * length / whole
        axes.barh(y, width, left=left, height=HEIGHT, color=LINE if part == REST else PARTS[part][1], label=part)
        left += width
    told = measured.median(measured.processor_seconds(records)) if shared else wall
    if not shared and wall and wall.low is not None:
        axes.hlines(y, wall.low, wall.high, color=INK, linewidth=0.8)
        left = max(left, wall.high or left)
    text = _told(told, "s of processors" if shared else "s")
    if text or (parts and not shared):
        axes.text(left, y, f" {text or f'{whole:.4g} s'}", va="center", fontsize=7)
    return list(parts)


def _told(found: measured.Median | None, unit: str) -> str:
    if found is None:
        return ""
    between = "" if found.low is None else f" [{found.low:.4g}, {found.high:.4g}]"
    return f"{found.value:.4g} {unit}{between}"


def _credit(axes: Axes, y: int, timers: Mapping[str, float]) -> list[str]:
    left, parts = 0.0, []
    for part in (*(part for part in PARTS if part.startswith("kawhi_")), REGIONS):
        if timers.get(part, 0) > 0:
            share = 100 * timers[part] / timers["step"]
            look: dict[str, Any] = {"color": "white", "edgecolor": INK, "hatch": "////", "linewidth": 0.5}
            look = look if part == REGIONS else {"color": PARTS[part][1]}
            axes.barh(y, share, left=left, height=HEIGHT, label=part, **look)
            left += share
            parts.append(part)
    if parts:
        axes.text(left, y, f" {left:.2g} %", va="center", fontsize=7)
    return parts


def _paper(axes: Axes) -> None:
    table = paper_tables()["kawhi_section_4_5"]
    rows = {"with KAWHI (R1)": VERMILION, "without KAWHI (R2)": INK}
    for y, (row, colour) in enumerate(rows.items()):
        cell = table.row(row).cells["Per-step duration"]
        axes.barh(y, cell.value, height=HEIGHT, color=colour)
        axes.text(cell.value, y, f" {cell.text} s", va="center")
    axes.set_yticks(range(2), list(rows))
    axes.set(ylim=(1.6, -0.6), xlim=(0, 620), xlabel="seconds per step")
    axes.tick_params(axis="y", length=0)
    light_grid(axes, "x")
    overhead = table.row("Temporal overhead").cells["Per-step duration"].text
    below = f"labelled as in section 4.5, which calls these {overhead} s an overhead of KAWHI"
    axes.set_title(f"paper: Qwen2.5-VL-7B-Instruct, GRPO\n{below}")
