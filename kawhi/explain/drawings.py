"""What the page and the picture both draw: the regions of an image, heat over it, the chart of the controls."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import IdentityTransform, Transform
from numpy.typing import NDArray
from PIL import Image, ImageChops

from kawhi.explain.content import Control, Scene
from kawhi.style.overlays import (
    BLUE,
    CONDITION_LOOKS,
    GREY,
    LINE,
    ORANGE,
    VERMILION,
    Segment,
    borders,
    heat_pixels,
    mix,
)

GRID_UP_TO = 600  # visual tokens; more of them make the dotted grid a veil
_SQUARE = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)])
_SIDE = 2.6  # inches of an overlay's longer side; a page shows it about as large


def marked(scene: Scene) -> dict[str, NDArray[np.int64]]:
    """Visual tokens by how they are drawn: ``key`` ones, ``dots`` for background kept, ``crosses`` for key left out."""
    key, kept = np.asarray(scene.key, dtype=bool), np.zeros(len(scene.key), dtype=bool)
    kept[scene.kept] = True
    return {name: np.flatnonzero(m) for name, m in {"key": key, "dots": kept & ~key, "crosses": key & ~kept}.items()}


def draw_regions(axes: Axes, scene: Scene, place: Transform) -> None:
    """The regions over whatever the axes show.

    Args:
        place: from units of visual tokens, y downwards, to the axes' data.
    """
    rows, columns, place = scene.rows, scene.columns, place + axes.transData
    corners = {name: np.stack([tokens % columns, tokens // columns], 1) for name, tokens in marked(scene).items()}
    few = rows * columns <= GRID_UP_TO

    def fill(shapes: list[Path], **look: Any) -> None:
        axes.add_artist(PathPatch(Path.make_compound_path(*shapes), linewidth=0, transform=place, **look))

    def stroke(lines: list[Segment], **look: Any) -> None:
        axes.add_collection(LineCollection(lines, transform=place, **look), autolim=False)

    fill([Path(corner + _SQUARE, closed=True) for corner in corners["key"]], color=BLUE, alpha=0.2)
    fill([Path.circle(corner + 0.5, 0.13) for corner in corners["dots"]], color=VERMILION)
    crosses = [((x + 0.35, y + a), (x + 0.65, y + 1 - a)) for x, y in corners["crosses"] for a in (0.35, 0.65)]
    stroke(crosses, colors=GREY, linewidths=0.9)
    if few:
        stroke(_ruled(range(1, columns), range(1, rows), scene), colors=LINE, linewidths=0.5, linestyles=":")
    frame = _ruled((0, columns), (0, rows), scene)
    inner = borders(np.reshape(scene.labels, (rows, columns)))
    stroke([*inner, *frame], colors=BLUE, linewidths=1.5 if few else 0.9, capstyle="projecting", clip_on=False)


def _ruled(across: Iterable[int], down: Iterable[int], scene: Scene) -> list[Segment]:
    """Lines from side to side of the scene."""
    return [((x, 0), (x, scene.rows)) for x in across] + [((0, y), (scene.columns, y)) for y in down]


def legend(scene: Scene) -> list[Artist]:
    """What the marks of :func:`draw_regions` mean."""
    there = {name: len(tokens) > 0 for name, tokens in marked(scene).items()}
    key = "key region" if there["crosses"] else "key region, kept"
    spot: dict[str, Any] = {"linestyle": "", "markersize": 4.5}
    handles = {
        "key": Patch(facecolor=BLUE, alpha=0.2, linewidth=0, label=key),
        "crosses": Line2D([], [], marker="x", color=GREY, label="key region, left out", **spot),
        "dots": Line2D([], [], marker="o", color=VERMILION, label="background, kept", **spot),
    }
    border = Line2D([], [], color=BLUE, label="region border")
    return [*(handle for name, handle in handles.items() if there[name]), border]


def overlay(scene: Scene) -> Figure:
    """The regions alone, to lie over the image."""
    scale = _SIDE / max(scene.width, scene.height)
    figure = Figure(figsize=(scene.width * scale, scene.height * scale))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, scene.columns), ylim=(scene.rows, 0))
    axes.axis("off")
    draw_regions(axes, scene, IdentityTransform())
    return figure


def chart(controls: list[Control], unit: str) -> Figure:
    """The alpha of each paragraph under the conditions."""
    figure = Figure(figsize=(4.6, 2.9), layout="constrained")
    axes = figure.add_subplot()
    numbers = range(1, len(controls[0].alpha) + 1)
    for order, control in enumerate(controls):
        name, colour, line, marker = CONDITION_LOOKS[control.condition]
        style: dict[str, Any] = {
            "color": colour,
            "linestyle": line,
            "marker": marker,
            "markersize": 5,
            "linewidth": 1.4,
        }
        axes.plot(numbers, control.alpha, label=name, zorder=3 - order / 10, **style)  # the true image on top
    axes.set_xlim(0.5, len(numbers) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(15, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.margins(y=0.1)
    axes.set_xlabel(unit, loc="left", color=GREY)
    axes.grid(axis="y", color=LINE, linewidth=0.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=GREY)
    figure.legend(loc="outside lower left", ncols=2, frameon=False, handlelength=2.6, labelcolor=GREY)
    return figure


def heat_over(image: Image.Image, heat: NDArray[np.floating], limit: float) -> Image.Image:
    """The image in pale grey, multiplied with the colours of the heat."""
    grey = Image.blend(Image.new("L", image.size, 255), image.convert("L"), 0.55).convert("RGB")
    colours = Image.fromarray(heat_pixels(heat, limit))
    return ImageChops.multiply(grey, colours.resize(image.size, Image.Resampling.NEAREST))


def shade(weight: float, w_min: float, w_max: float) -> str:
    """Colour of a paragraph."""
    return mix((weight - w_min) / (w_max - w_min) if w_max > w_min else 0.0, ORANGE)


def svg_uri(figure: Figure) -> str:
    """A data URI of a drawing without a ground."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "kawhi"}):  # else every drawing has other names in it
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"
