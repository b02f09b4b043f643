"""An explanation as a PNG: the paper's figure 6, with a heat map beside each paragraph.

Everything is laid out in inches on one pair of axes that covers the figure, y downwards.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import FancyBboxPatch, Rectangle
from numpy.typing import NDArray

from kawhi.explain.condition_chart import signed
from kawhi.explain.content import Answer, Explanation, Paragraph, Scene
from kawhi.explain.page import GRID_UP_TO, heat_limit, heaviest, outcome, shade
from kawhi.explain.verdict import verdict
from kawhi.style.lettering import families, width, wrapped
from kawhi.style.overlays import (
    BLUE,
    GREY,
    INK,
    LINE,
    VERMILION,
    borders,
    from_uri,
    grey_under_heat,
    heat_pixels,
)

WIDTH, MARGIN = 10.0, 0.35
LEFT, LEFT_WIDTH, TALLEST = MARGIN, 3.2, 4.4
RIGHT, RIGHT_WIDTH = 3.95, WIDTH - MARGIN - 3.95
THUMB, NUMBERS = 0.74, 0.62  # inches of a heat map's longer side, and of the column of numbers
LEADING = 0.168  # inches between lines of 9 points
MOST_LINES = 7  # of one paragraph; the page has all of them


@dataclass(frozen=True)
class Style:
    """What all parts of a picture share."""

    limit: float
    w_min: float
    w_max: float
    under: NDArray[np.float64] | None


def draw(explanation: Explanation, file: Path) -> None:
    """Writes the picture."""
    aligned = bool(explanation.heads)
    image = np.asarray(from_uri(explanation.scene.image))
    style = Style(
        heat_limit(explanation),
        explanation.w_min,
        heaviest(explanation),
        grey_under_heat(image) if aligned else None,
    )
    title = wrapped(explanation.question, WIDTH - 2 * MARGIN, 12, most=4, bold=True)
    notes = [line for note in explanation.notes for line in wrapped(note, WIDTH - 2 * MARGIN, 7.5, most=3)]
    top = MARGIN + 0.2 + 0.22 * len(title) + 0.15 * len(notes) + 0.16
    heights = [_answer_height(explanation, answer) for answer in explanation.answers]
    left = _image_size(explanation.scene)[1] + (0.17 + 0.36 + 0.45 if aligned else 0.0)
    total = top + max(left, sum(heights)) + 0.4
    figure = plt.figure(figsize=(WIDTH, total), dpi=200, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(total, 0))
    axes.axis("off")

    _write(axes, MARGIN, MARGIN, explanation.title, 7.5, GREY)
    for i, line in enumerate(title):
        _write(axes, MARGIN, MARGIN + 0.2 + 0.22 * i, line, 12, INK, weight="bold")
    for i, line in enumerate(notes):
        _write(axes, MARGIN, MARGIN + 0.22 + 0.22 * len(title) + 0.15 * i, line, 7.5, GREY)
    below = _draw_scene(axes, explanation.scene, image, top)
    if aligned:
        _draw_scale(axes, style.limit, below + 0.2)
    at = top
    for answer, height in zip(explanation.answers, heights, strict=True):
        _draw_answer(axes, explanation, answer, style, at)
        at += height
    _write(axes, MARGIN, total - 0.28, _small_print(explanation), 6.5, GREY)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, metadata={"Software": None})
    plt.close(figure)


def _small_print(explanation: Explanation) -> str:
    model = next((text for name, text in explanation.details.items() if name.startswith("model")), "")
    text = f"{model}   ·   darker = more weight" if model else "Darker = more weight"
    return wrapped(text, WIDTH - 2 * MARGIN, 6.5, most=1)[0]


def _image_size(scene: Scene) -> tuple[float, float]:
    """Inches of the image: as wide as its column, or as tall as may be."""
    scale = min(LEFT_WIDTH / scene.width, TALLEST / scene.height)
    return scene.width * scale, scene.height * scale


def _draw_scene(axes: Axes, scene: Scene, image: NDArray[np.uint8], top: float) -> float:
    """The image with its regions and their legend; returns where they end."""
    wide, high = _image_size(scene)
    axes.imshow(image, extent=(LEFT, LEFT + wide, top + high, top), aspect="auto", interpolation="antialiased")
    frame = Rectangle((LEFT, top), wide, high, fill=False, edgecolor="#9A9A9A", linewidth=0.5)
    axes.add_patch(frame)
    if not scene.rows:
        return top + high
    rows, columns = scene.rows, scene.columns
    side_x, side_y = wide / columns, high / rows
    labels = np.reshape(scene.labels, (rows, columns))
    key, kept = np.asarray(scene.key, dtype=bool), np.zeros(rows * columns, dtype=bool)
    kept[scene.kept] = True

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + x * side_x, top + y * side_y

    for token in np.flatnonzero(key):
        corner = place(token % columns, token // columns)
        axes.add_patch(Rectangle(corner, side_x, side_y, facecolor=BLUE, alpha=0.2, linewidth=0))
    for chosen, marker, colour, size in ((kept & ~key, "o", VERMILION, 17.0), (key & ~kept, "x", GREY, 14.0)):
        spots = [place(token % columns + 0.5, token // columns + 0.5) for token in np.flatnonzero(chosen)]
        if spots:
            points = size * min(side_x, side_y)
            axes.plot(*zip(*spots, strict=True), marker, color=colour, markersize=points, markeredgewidth=0.9)
    few = rows * columns <= GRID_UP_TO
    if few:
        grid = [[place(x, 0), place(x, rows)] for x in range(1, columns)]
        grid += [[place(0, y), place(columns, y)] for y in range(1, rows)]
        axes.add_collection(LineCollection(grid, colors=LINE, linewidths=0.5, linestyles=":"))
    lines = [[place(*a), place(*b)] for a, b in borders(labels)]
    thickness = 1.5 if few else 0.9
    axes.add_collection(LineCollection(lines, colors=BLUE, linewidths=thickness, capstyle="projecting"))
    frame.set(edgecolor=BLUE, linewidth=thickness, zorder=3)
    return _draw_legend(axes, top + high + 0.17, bool((key & ~kept).any()), bool((kept & ~key).any()), bool(key.any()))


def _draw_legend(axes: Axes, y: float, crosses: bool, dots: bool, keys: bool) -> float:
    entries: list[tuple[str, str]] = [("border", "region border")]
    if dots:
        entries.insert(0, ("dot", "background, kept"))
    if crosses:
        entries.insert(0, ("cross", "key region, left out"))
    if keys:
        entries.insert(0, ("key", "key region" if crosses else "key region, kept"))
    x = LEFT
    for kind, text in entries:
        room = 0.24 + width(text, 7.5)
        if x > LEFT and x + room > LEFT + LEFT_WIDTH:
            x, y = LEFT, y + 0.18
        if kind == "key":
            axes.add_patch(Rectangle((x, y - 0.05), 0.16, 0.1, facecolor=BLUE, alpha=0.2, linewidth=0))
        elif kind == "border":
            axes.plot([x, x + 0.16], [y, y], color=BLUE, linewidth=1.5)
        else:
            marker, colour = ("o", VERMILION) if kind == "dot" else ("x", GREY)
            axes.plot(x + 0.08, y, marker, color=colour, markersize=4.5, markeredgewidth=0.9)
        _write(axes, x + 0.22, y, text, 7.5, INK, va="center")
        x += room + 0.14
    return y + 0.09


def _draw_scale(axes: Axes, limit: float, y: float) -> None:
    shades = heat_pixels(np.linspace(-limit, limit, 101)[None], limit)
    axes.imshow(shades, extent=(LEFT, LEFT + LEFT_WIDTH, y + 0.1, y), aspect="auto")
    axes.add_patch(Rectangle((LEFT, y), LEFT_WIDTH, 0.1, fill=False, edgecolor="#9A9A9A", linewidth=0.5))
    texts = (signed(-limit, 2), "heat maps: cosine with each visual token", signed(limit, 2))
    for text, share, side in zip(texts, (0.0, 0.5, 1.0), ("left", "center", "right"), strict=True):
        _write(axes, LEFT + share * LEFT_WIDTH, y + 0.15, text, 7, GREY, ha=side)


def _heads_up(explanation: Explanation, answer: Answer) -> bool:
    """Whether an answer has a line above it that names it."""
    return len(explanation.answers) > 1 or answer.reward is not None


def _verdict(explanation: Explanation, answer: Answer) -> list[str]:
    if not answer.controls:
        return []
    return wrapped(verdict(answer, explanation.compared), RIGHT_WIDTH, 7.5)


def _row(paragraph: Paragraph, scene: Scene) -> tuple[list[str], float]:
    """Lines of a paragraph and the height of its row, without the gap below it."""
    thumb = _thumb(scene) if paragraph.heat else (0.0, 0.0)
    lines = wrapped(paragraph.text, RIGHT_WIDTH - thumb[0] - NUMBERS - 0.42, 9, most=MOST_LINES)
    return lines, max(thumb[1], LEADING * len(lines) + 0.2, 0.48)


def _thumb(scene: Scene) -> tuple[float, float]:
    scale = THUMB / max(scene.width, scene.height)
    return scene.width * scale, scene.height * scale


def _answer_height(explanation: Explanation, answer: Answer) -> float:
    rows = sum(_row(paragraph, explanation.scene)[1] + 0.09 for paragraph in answer.paragraphs)
    return 0.24 * _heads_up(explanation, answer) + rows + 0.15 * len(_verdict(explanation, answer)) + 0.2


def _draw_answer(axes: Axes, explanation: Explanation, answer: Answer, style: Style, y: float) -> None:
    if _heads_up(explanation, answer):
        _write(axes, RIGHT, y, answer.name, 9, INK, weight="bold")
        _write(axes, RIGHT + RIGHT_WIDTH, y, outcome(answer), 8, GREY, ha="right")
        y += 0.24
    for paragraph in answer.paragraphs:
        lines, height = _row(paragraph, explanation.scene)
        x = RIGHT
        if style.under is not None:
            wide, high = _thumb(explanation.scene)
            _draw_heat(axes, paragraph, explanation.scene, style, (x, y + (height - high) / 2, wide, high))
            x += wide + 0.1
        right = RIGHT + RIGHT_WIDTH
        box = FancyBboxPatch(
            (x, y),
            right - x,
            height,
            boxstyle="round,pad=0,rounding_size=0.05",
            facecolor=shade(paragraph.weight, style.w_min, style.w_max),
            edgecolor="#9A9A9A",
            linewidth=0.6,
        )
        axes.add_patch(box)
        middle = y + height / 2
        for i, line in enumerate(lines):
            _write(axes, x + 0.12, middle + LEADING * (i - (len(lines) - 1) / 2), line, 9, INK, va="center")
        up = 0.0 if paragraph.alpha is None else 0.08
        _write(
            axes, right - 0.12, middle - up, f"{paragraph.weight:.2f}", 9, INK, va="center", ha="right", weight="bold"
        )
        if paragraph.alpha is not None:
            _write(axes, right - 0.12, middle + up, f"α {signed(paragraph.alpha)}", 7.5, INK, va="center", ha="right")
        y += height + 0.09
    for i, line in enumerate(_verdict(explanation, answer)):
        _write(axes, RIGHT, y + 0.03 + 0.15 * i, line, 7.5, GREY)


def _draw_heat(
    axes: Axes, paragraph: Paragraph, scene: Scene, style: Style, box: tuple[float, float, float, float]
) -> None:
    x, y, wide, high = box
    under = style.under
    assert under is not None
    colours = heat_pixels(np.reshape(paragraph.heat, (scene.rows, scene.columns)), style.limit)
    down = (np.arange(under.shape[0]) * scene.rows // under.shape[0])[:, None]
    across = (np.arange(under.shape[1]) * scene.columns // under.shape[1])[None]
    pixels = np.rint(colours[down, across] * under).astype(np.uint8)
    axes.imshow(pixels, extent=(x, x + wide, y + high, y), aspect="auto", interpolation="antialiased")
    axes.add_patch(Rectangle((x, y), wide, high, fill=False, edgecolor="#9A9A9A", linewidth=0.5))


def _write(axes: Axes, x: float, y: float, text: str, points: float, colour: str, **more: Any) -> None:
    """Plain text: a dollar sign in an answer starts no formula here."""
    options = {"va": "top", "family": families(), "parse_math": False, **more}
    axes.text(x, y, text, fontsize=points, color=colour, **options)
