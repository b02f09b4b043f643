"""Figure 1a: why wrong answers are wrong."""

from __future__ import annotations

from analysis.figures.parts import CLEAR, Drawn, caption, grid, light_grid, not_run
from analysis.figures.series import WORDS, Records
from analysis.paper import paper_tables
from kawhi.probes.error_attribution import CATEGORIES
from kawhi.records.schema import ErrorsRecord, TrainingRecord
from kawhi.style.overlays import BLUE, GREY, INK, VERMILION


def figure_1a(records: Records) -> Drawn:
    """The paper's one number, and a panel of five shares for each record of the study ``errors``."""
    found = {file.name: record for file, record in sorted(records.items()) if isinstance(record, ErrorsRecord)}
    found = dict(sorted(found.items(), key=lambda pair: (pair[1].provenance, pair[0])))  # measured before tiny
    figure, (paper, *own) = grid(1 + len(found), 2, 2.1, sharex=True)
    names = list(CATEGORIES)
    for axes in (paper, *own):
        axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6), xlim=(0, 100))
        axes.set_xlabel("share of the wrong answers (%)")
        axes.xaxis.set_tick_params(labelbottom=True)
        axes.tick_params(axis="y", length=0)
        light_grid(axes, "x")
    printed = paper_tables()["kawhi_figure_1a"]
    for y, name in enumerate(names):
        cells = list(printed.row(name).cells.values())
        if cells:
            paper.barh(y, cells[0].value, height=0.64, color=VERMILION)
            paper.text(cells[0].value + 2, y, f"{cells[0].text} %", va="center", bbox=CLEAR)
        else:
            paper.text(2, y, "given only as a drawing", va="center", color=GREY, fontsize=7, bbox=CLEAR)
    paper.set_title("paper: Qwen2.5-VL-7B-Instruct, GRPO\nMathVerse")
    for axes, record in zip(own, found.values(), strict=True):
        block = record.errors
        shares = [block["shares"][name] for name in names]
        axes.barh(names, [100 * each["share"] for each in shares], height=0.64, color=[VERMILION, *[BLUE] * 4])
        axes.hlines(names, [100 * e["low"] for e in shares], [100 * e["high"] for e in shares], color=INK, linewidth=1)
        for y, (name, each) in enumerate(zip(names, shares, strict=True)):
            text = f"{100 * each['share']:.1f} % ({block['counts'][name]})"
            fits = 100 * each["high"] < 70
            x = 100 * each["high"] + 2 if fits else 100 * each["low"] - 2
            axes.text(x, y, text, va="center", ha="left" if fits else "right", bbox=CLEAR)
        where = f"{WORDS[record.provenance]}: {record.model.name}"
        axes.set_title(f"{where}\n{_run(record, records)}, {block['wrong']} wrong of {block['samples']}")
    words = "; ".join(f"{name}: {text}" for name, text in CATEGORIES.items() if name.lower() != text)
    said = [
        f"{WORDS[r.provenance].capitalize()}: {r.model.name}, {_run(r, records)}, n = {r.errors['wrong']} wrong "
        f"answers, sorted by {r.errors['judge']['name']}, with 95 % simultaneous intervals."
        for r in found.values()
    ]
    text = caption(
        f"Kinds of errors ({words}). The paper prints one share, VP on MathVerse; its others are only drawn.",
        *said,
        not_run(found.values()),
        files=tuple(found),
    )
    return Drawn(figure, text, tuple(found))


def _run(record: ErrorsRecord, records: Records) -> str:
    """Whose answers were sorted: the credit method, where the record of that run is there, and the benchmark."""
    of = record.config.get("errors", {}).get("of")
    labels = [r.credit.label for r in records.values() if isinstance(r, TrainingRecord) and r.cell.hash == of]
    return ", ".join([*labels, record.errors["benchmark"]])
