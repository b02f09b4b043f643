"""Figure 1a: why wrong answers are wrong."""

from __future__ import annotations

from matplotlib.axes import Axes

from analysis.figures.parts import CLEAR, Drawn, finished, grid, light_grid
from analysis.figures.series import WORDS, Records, of_study
from analysis.paper import paper_tables
from kawhi.probes.error_attribution import CATEGORIES
from kawhi.records.schema import ErrorsRecord, TrainingRecord
from kawhi.style.overlays import BLUE, GREY, INK, VERMILION

NAMES = list(CATEGORIES)


def figure_1a(records: Records) -> Drawn:
    """The paper's one number, and a panel of five shares for each record of the study ``errors``."""
    found = of_study(records, ErrorsRecord)
    figure, (paper, *own) = grid(1 + len(found), 2, 2.1, sharex=True)
    for axes in (paper, *own):
        axes.set(yticks=range(len(NAMES)), yticklabels=NAMES, ylim=(len(NAMES) - 0.4, -0.6), xlim=(0, 100))
        axes.set_xlabel("share of the wrong answers (%)")
        axes.xaxis.set_tick_params(labelbottom=True)
        axes.tick_params(axis="y", length=0)
        light_grid(axes, "x")
    _printed(paper)
    for axes, record in zip(own, found.values(), strict=True):
        _shares(axes, record.errors)
        where = f"{WORDS[record.provenance]}: {record.model.name}"
        axes.set_title(
            f"{where}\n{_run(record, records)}, {record.errors['wrong']} wrong of {record.errors['samples']}"
        )
    words = "; ".join(f"{name}: {text}" for name, text in CATEGORIES.items() if name.lower() != text)
    said = [
        f"{WORDS[r.provenance].capitalize()}: {r.model.name}, {_run(r, records)}, n = {r.errors['wrong']} wrong "
        f"answers, sorted by {r.errors['judge']['name']}, with 95 % simultaneous intervals."
        for r in found.values()
    ]
    text = f"Kinds of errors ({words}). The paper prints one share, VP on MathVerse; its others are only drawn."
    return finished(figure, found.values(), tuple(found), text, *said)


def _printed(axes: Axes) -> None:
    printed = paper_tables()["kawhi_figure_1a"]
    for y, name in enumerate(NAMES):
        cells = list(printed.row(name).cells.values())
        if cells:
            axes.barh(y, cells[0].value, height=0.64, color=VERMILION)
            axes.text(cells[0].value + 2, y, f"{cells[0].text} %", va="center", bbox=CLEAR)
        else:
            axes.text(2, y, "given only as a drawing", va="center", color=GREY, fontsize=7, bbox=CLEAR)
    axes.set_title("paper: Qwen2.5-VL-7B-Instruct, GRPO\nMathVerse")


def _shares(axes: Axes, block: dict) -> None:
    share, low, high = ([100 * block["shares"][name][key] for name in NAMES] for key in ("share", "low", "high"))
    axes.barh(NAMES, share, height=0.64, color=[VERMILION, *[BLUE] * 4])
    axes.hlines(NAMES, low, high, color=INK, linewidth=1)
    for y, name in enumerate(NAMES):
        text = f"{share[y]:.1f} % ({block['counts'][name]})"
        fits = high[y] < 70
        axes.text(high[y] + 2 if fits else low[y] - 2, y, text, va="center", ha="left" if fits else "right", bbox=CLEAR)


def _run(record: ErrorsRecord, records: Records) -> str:
    """Whose answers were sorted: the credit method, where the record of that run is there, and the benchmark."""
    of = record.config.get("errors", {}).get("of")
    labels = [r.credit.label for r in records.values() if isinstance(r, TrainingRecord) and r.cell.hash == of]
    return ", ".join([*labels, record.errors["benchmark"]])
