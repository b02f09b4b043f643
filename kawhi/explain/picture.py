"""An explanation as a PNG: the paper's figure 6, with a heat map beside each paragraph.

Everything is placed in inches, from above to below, on one pair of axes that covers the figure.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.transforms import Affine2D

from kawhi.explain.content import Answer, Explanation, Paragraph, Scene
from kawhi.explain.drawings import draw_regions, heat_over, legend, shade
from kawhi.explain.words import outcome, signed, verdict
from kawhi.style.lettering import families, wrapped
from kawhi.style.overlays import GREY, INK, from_uri, heat_pixels

WIDTH, MARGIN = 10.0, 0.35
LEFT, LEFT_WIDTH, TALLEST = MARGIN, 3.2, 4.4
RIGHT, RIGHT_EDGE = 3.95, WIDTH - MARGIN
THUMB, NUMBERS = 0.74, 0.62  # inches of a heat map's longer side, and of the column of numbers
LEADING = 0.168  # inches between lines of 9 points
MOST_LINES = 7  # of one paragraph; the page has all of them


def draw(explanation: Explanation, file: Path) -> None:
    """Writes the picture."""
    figure = Figure(figsize=(WIDTH, 1), dpi=200, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    wide = WIDTH - 2 * MARGIN
    _write(axes, MARGIN, MARGIN, explanation.title, 7.5, GREY)
    title = wrapped(explanation.question, wide, 12, most=4, bold=True)
    top = _lines(axes, MARGIN, MARGIN + 0.2, title, 12, 0.22, INK, weight="bold")
    notes = [line for note in explanation.notes for line in wrapped(note, wide, 7.5, most=3)]
    top = _lines(axes, MARGIN, top + 0.02, notes, 7.5, 0.15, GREY) + 0.14
    left = _draw_scene(axes, explanation, top)
    right = top
    for answer in explanation.answers:
        right = _draw_answer(axes, explanation, answer, right)
    end = max(left, right) + 0.4
    _write(axes, MARGIN, end - 0.28, _small_print(explanation), 6.5, GREY)
    figure.set_figheight(end)
    axes.set(xlim=(0, WIDTH), ylim=(end, 0))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, metadata={"Software": None})


def _small_print(explanation: Explanation) -> str:
    model = next((text for name, text in explanation.details.items() if name.startswith("model")), "")
    text = f"{model}   ·   darker = more weight" if model else "Darker = more weight"
    return wrapped(text, WIDTH - 2 * MARGIN, 6.5, most=1)[0]


def _draw_scene(axes: Axes, explanation: Explanation, top: float) -> float:
    """The image with its regions, their legend and the scale of the heat maps; returns where they end."""
    scene = explanation.scene
    wide, high = _fitted(scene, LEFT_WIDTH, TALLEST)
    _show(axes, from_uri(scene.image), LEFT, top, wide, high)
    if not scene.rows:
        return top + high
    draw_regions(axes, scene, Affine2D().scale(wide / scene.columns, high / scene.rows).translate(LEFT, top))
    handles = legend(scene)
    placed: dict[str, Any] = {
        "bbox_to_anchor": (LEFT, top + high + 0.12),
        "bbox_transform": axes.transData,
        "borderaxespad": 0,
    }
    axes.legend(handles=handles, loc="upper left", ncols=2, frameon=False, fontsize=7.5, borderpad=0, **placed)
    y = top + high + 0.26 + 0.18 * ((len(handles) + 1) // 2)
    least, limit = explanation.heat_least, explanation.heat_limit
    _show(axes, heat_pixels(np.linspace(least, limit, 101)[None], limit), LEFT, y, LEFT_WIDTH, 0.1)
    digits = explanation.heat_digits
    texts = signed(least, digits), f"heat maps: {explanation.heat_shows}, by visual token", signed(limit, digits)
    for text, share, side in zip(texts, (0.0, 0.5, 1.0), ("left", "center", "right"), strict=True):
        _write(axes, LEFT + share * LEFT_WIDTH, y + 0.15, text, 7, GREY, ha=side)
    return y + 0.3


def _draw_answer(axes: Axes, explanation: Explanation, answer: Answer, y: float) -> float:
    """Its paragraphs and what its controls say; returns where they end."""
    if len(explanation.answers) > 1 or answer.reward is not None:
        _write(axes, RIGHT, y, answer.name, 9, INK, weight="bold")
        _write(axes, RIGHT_EDGE, y, outcome(answer), 8, GREY, ha="right")
        y += 0.24
    for paragraph in answer.paragraphs:
        y = _draw_paragraph(axes, explanation, paragraph, y) + 0.09
    said = verdict(answer, explanation.compared) if answer.controls else ""
    lines = wrapped(said, RIGHT_EDGE - RIGHT, 7.5) if said else []
    return _lines(axes, RIGHT, y + 0.03, lines, 7.5, 0.15, GREY) + 0.17


def _draw_paragraph(axes: Axes, explanation: Explanation, paragraph: Paragraph, y: float) -> float:
    """Its heat map, its text shaded by its weight, its numbers; returns where they end."""
    scene, x = explanation.scene, RIGHT
    wide, high = _fitted(scene, THUMB, THUMB) if paragraph.heat else (0.0, 0.0)
    lines = wrapped(paragraph.text, RIGHT_EDGE - RIGHT - wide - NUMBERS - 0.42, 9, most=MOST_LINES)
    height = max(high, LEADING * len(lines) + 0.2, 0.48)
    if paragraph.heat:
        heat = np.reshape(paragraph.heat, (scene.rows, scene.columns))
        shown = heat_over(from_uri(scene.image), heat, explanation.heat_limit)
        _show(axes, shown, x, y + (height - high) / 2, wide, high)
        x += wide + 0.1
    colour = shade(paragraph.weight, explanation.w_min, explanation.heaviest)
    box: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.05", "edgecolor": "#9A9A9A", "linewidth": 0.6}
    axes.add_patch(FancyBboxPatch((x, y), RIGHT_EDGE - x, height, facecolor=colour, **box))
    middle = y + height / 2
    _lines(axes, x + 0.12, middle - LEADING * (len(lines) - 1) / 2, lines, 9, LEADING, INK, va="center")
    numbers: dict[str, Any] = {"va": "center", "ha": "right"}
    up = 0.0 if paragraph.alpha is None else 0.08
    _write(axes, RIGHT_EDGE - 0.12, middle - up, f"{paragraph.weight:.2f}", 9, INK, weight="bold", **numbers)
    if paragraph.alpha is not None:
        _write(axes, RIGHT_EDGE - 0.12, middle + up, f"α {signed(paragraph.alpha)}", 7.5, INK, **numbers)
    return y + height


def _fitted(scene: Scene, width: float, height: float) -> tuple[float, float]:
    """Inches of the image, as large as there is room."""
    scale = min(width / scene.width, height / scene.height)
    return scene.width * scale, scene.height * scale


def _show(axes: Axes, pixels: Any, x: float, y: float, wide: float, high: float) -> None:
    axes.imshow(pixels, extent=(x, x + wide, y + high, y), aspect="auto", interpolation="antialiased")
    axes.add_patch(Rectangle((x, y), wide, high, fill=False, edgecolor="#9A9A9A", linewidth=0.5))


def _lines(
    axes: Axes, x: float, y: float, lines: list[str], points: float, leading: float, colour: str, **more: Any
) -> float:
    """Writes lines one below the other; returns where the next one would be."""
    for i, line in enumerate(lines):
        _write(axes, x, y + leading * i, line, points, colour, **more)
    return y + leading * len(lines)


def _write(axes: Axes, x: float, y: float, text: str, points: float, colour: str, **more: Any) -> None:
    """Plain text: a dollar sign in an answer starts no formula here."""
    options = {"va": "top", "family": families(), "parse_math": False, **more}
    axes.text(x, y, text, fontsize=points, color=colour, **options)
