"""Figure 4: KAWHI with VisionZip in place of SGUF."""

from __future__ import annotations

from analysis.figures.parts import (
    CLEAR,
    INTERVALS,
    Drawn,
    caption,
    described,
    files_of,
    grid,
    light_grid,
    lines,
    not_run,
    padded,
    with_interval,
)
from analysis.figures.series import Panel, Records, panels, score, split, tasks
from analysis.paper import paper_tables
from kawhi.style.overlays import BLUE, VERMILION

STRATEGY = "kawhi.regions.strategy"
METHODS = {"kawhi": ("SGUF", VERMILION, "o"), "kawhi_visionzip": ("VisionZip 50 %", BLUE, "s")}


def figure_4(records: Records) -> Drawn:
    """The paper's three drops, and a panel of two points for each benchmark and setting that has both methods."""
    titles = tasks(records, METHODS)
    found: list[Panel] = []
    for task in titles:
        made = [part for p in panels(records, task=task, credits=METHODS) for part in split(p, STRATEGY, beside=())]
        found += [p for p in made if p.algorithm == "grpo" and all(map(p.of, METHODS))]
    found.sort(key=lambda panel: panel.provenance)  # measured before tiny
    figure, (paper, *own) = grid(1 + len(found), 3, 2.35)
    cells = paper_tables()["kawhi_section_4_4"].row("VisionZip").cells
    names = [column.removesuffix(" drop") for column in cells]
    paper.bar(names, [cell.value for cell in cells.values()], width=0.5, color=BLUE)
    for x, cell in enumerate(cells.values()):
        paper.text(x, cell.value, cell.text, ha="center", va="bottom")
    paper.set_ylim(0, 1.25 * max(cell.value for cell in cells.values()))
    paper.set_ylabel("drop with VisionZip (points)")
    paper.set_title("paper: section 4.4\nonly the drops are printed\nQwen2.5-VL-7B-Instruct")
    for axes, panel in zip(own, found, strict=True):
        values = []
        for x, (credit, (label, colour, marker)) in enumerate(METHODS.items()):
            series = panel.of(credit)
            assert series is not None
            values.append(score(series, panel.task))
            with_interval(axes, x, values[-1], colour, marker, label=label)
            text, place = f"{values[-1].value:.2f}", (x, values[-1].value)
            axes.annotate(text, place, (6, 0), textcoords="offset points", va="center", bbox=CLEAR)
        padded(axes)
        axes.set_xticks(
            range(2),
            [
                f"{label}\n{s.seeds} seed{'s' * (s.seeds > 1)}"
                for (label, *_), s in zip(METHODS.values(), values, strict=True)
            ],
        )
        axes.set_xlim(-0.5, 1.7)
        axes.set_ylabel("score (%)")
        axes.set_xlabel(f"drop {values[0].value - values[1].value:.2f} points".replace("-", "−"))
        light_grid(axes)
        axes.set_title(lines(panel, titles[panel.task]))
    said = [described(p, f"{titles[p.task]}, n = {score(p.series[0], p.task).n}") for p in found]
    files = files_of(found)
    text = caption(
        "KAWHI under GRPO with SGUF and with VisionZip at 50 % of the vision tokens. Paper: Qwen2.5-VL-7B-Instruct.",
        INTERVALS if found else "",
        *said,
        not_run(found),
        files=files,
    )
    return Drawn(figure, text, files)
