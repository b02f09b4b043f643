"""Figure 6: the paragraphs of a response, darker where they weigh more."""

from __future__ import annotations

from typing import Any
from unicodedata import east_asian_width

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.figures.parts import WIDE, Drawn, finished
from analysis.figures.series import WORDS, Records, known, of_study
from kawhi.records.schema import PROVENANCES, Example, Paragraph, TrainingRecord
from kawhi.style.lettering import families, wrapped
from kawhi.style.overlays import BLUE, GREY, INK, mix

MARGIN, GAP, NUMBERS = 0.12, 0.2, 0.8  # inches: around the figure, between columns, and the numbers of a paragraph
POINTS, LEADING, INSET = 7.5, 0.15, 0.07
COLUMN = (WIDE - 2 * MARGIN - GAP) / 2
HEAD = 0.55
MOST_LINES, MOST_PARAGRAPHS = 9, 14
BOXES = 1.2  # ems of the box that stands for a wide character where no font has it
DARKEST = 0.6
"""Share of blue under the largest weight; black text stays readable on it."""


def figure_6(records: Records) -> Drawn | None:
    """Up to two responses for each provenance, of the first KAWHI record that kept some; all inches, y downwards."""
    shown = _shown(records)
    if not shown:
        return None
    examples = {name: record.training.examples[:2] for name, record in shown.items()}
    top = max(p.weight for own in examples.values() for example in own for p in example.paragraphs)
    heights = [max(map(_height, own)) for own in examples.values()]
    total = 2 * MARGIN + sum(heights) + 0.2
    figure = Figure(figsize=(WIDE, total))
    figure.set_layout_engine("none")  # as an argument it would not overrule the style
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDE), ylim=(total, 0))
    axes.axis("off")
    y = MARGIN
    for (name, record), height in zip(shown.items(), heights, strict=True):
        for i, example in enumerate(examples[name]):
            _draw(axes, MARGIN + i * (COLUMN + GAP), y, record, example, top)
        y += height
    _scale(axes, total - MARGIN - 0.14, top)
    text = (
        "Responses of the last training step with the weight of each paragraph (darker is larger) and its alignment α."
    )
    return finished(figure, shown.values(), tuple(shown), text, *map(_described, shown.values()))


def _described(record: TrainingRecord) -> str:
    seeds = f"seeds {record.seeds.data}-{record.seeds.rollout}"
    model = f"{WORDS[record.provenance].capitalize()}: {record.model.name}, {record.algorithm.upper()}"
    return f"{model}, step {record.steps}, n = {len(record.training.examples[:2])} responses, {seeds}."


def _shown(records: Records) -> dict[str, TrainingRecord]:
    own = [(name, record) for name, record in of_study(records, TrainingRecord).items() if _fits(record)]
    first = {record.provenance: (name, record) for name, record in reversed(own)}
    return dict(first[provenance] for provenance in PROVENANCES if provenance in first)


def _fits(record: TrainingRecord) -> bool:
    """Of KAWHI itself, with examples."""
    return known(record) == "kawhi" and any(example.paragraphs for example in record.training.examples)


def _lines(paragraph: Paragraph) -> list[str]:
    room = COLUMN - NUMBERS - 2 * INSET
    if any(east_asian_width(character) in "WF" for character in paragraph.text):
        room /= BOXES
    return wrapped(paragraph.text, room, POINTS, most=MOST_LINES)


def _block(paragraph: Paragraph) -> float:
    """Inches."""
    return max(2, len(_lines(paragraph))) * LEADING + 2 * INSET


def _height(example: Example) -> float:
    shown = example.paragraphs[:MOST_PARAGRAPHS]
    return HEAD + sum(_block(p) + 0.05 for p in shown) + 0.2 * (len(example.paragraphs) > MOST_PARAGRAPHS) + 0.1


def _draw(axes: Axes, x: float, y: float, record: TrainingRecord, example: Example, top: float) -> None:
    options: dict[str, Any] = {"va": "top", "parse_math": False, "family": families()}
    title = wrapped(f"{WORDS[record.provenance]}: {record.model.name}, step {example.step}", COLUMN, 8, 1, bold=True)
    axes.text(x, y, title[0], fontsize=8, weight="bold", **options)
    problem = "" if example.index is None else f"problem {example.index}, "
    worth = f"{problem}reward {example.reward:g}, advantage {example.advantage:+.2f}".replace("-", "−")
    axes.text(x, y + 0.2, worth, fontsize=7, color=GREY, **options)
    y += HEAD - 0.12
    for paragraph in example.paragraphs[:MOST_PARAGRAPHS]:
        high = _block(paragraph)
        share = DARKEST * max(0.0, paragraph.weight) / top if top else 0.0
        axes.add_patch(Rectangle((x, y), COLUMN - NUMBERS, high, facecolor=mix(share, BLUE), linewidth=0))
        lines = _lines(paragraph)
        first = y + (high - LEADING * len(lines)) / 2
        for i, line in enumerate(lines):
            axes.text(x + INSET, first + i * LEADING, line, fontsize=POINTS, color=INK, **options)
        axes.text(x + COLUMN - NUMBERS + INSET, y + INSET, f"w = {paragraph.weight:.3f}", fontsize=7, **options)
        if paragraph.alpha is not None:
            alpha = f"α = {paragraph.alpha:+.3f}".replace("-", "−")
            axes.text(x + COLUMN - NUMBERS + INSET, y + INSET + LEADING, alpha, fontsize=7, color=GREY, **options)
        y += high + 0.05
    more = len(example.paragraphs) - MOST_PARAGRAPHS
    if more > 0:
        axes.text(x, y, f"and {more} more paragraph{'s' * (more > 1)}", fontsize=7, color=GREY, **options)


def _scale(axes: Axes, y: float, top: float) -> None:
    steps, wide = 40, 1.6
    for i in range(steps):
        colour = mix(DARKEST * i / (steps - 1), BLUE)
        axes.add_patch(Rectangle((MARGIN + i * wide / steps, y), wide / steps, 0.12, facecolor=colour, linewidth=0))
    text = f"weight, from 0 to {top:.2f}"
    axes.text(MARGIN + wide + 0.1, y + 0.06, text, fontsize=7, color=GREY, va="center")
