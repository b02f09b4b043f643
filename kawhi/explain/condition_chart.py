"""The alpha of each paragraph under the four conditions, as one small SVG chart."""

from __future__ import annotations

import math

from kawhi.explain.content import Control
from kawhi.style.overlays import CONDITION_LOOKS

WIDTH, HEIGHT = 420, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 34
_MARKS = {
    "o": "M{x} {y}m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "s": "M{x} {y}m-3.6 -3.6h7.2v7.2h-7.2z",
    "^": "M{x} {y}m0 -4.6l4.6 8h-9.2z",
    "D": "M{x} {y}m0 -4.8l4.8 4.8l-4.8 4.8l-4.8 -4.8z",
}


def mark(shape: str, x: float, y: float) -> str:
    """An SVG path for one marker."""
    return _MARKS[shape].format(x=round(x, 1), y=round(y, 1))


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that cover a range; at least two."""
    span = max(high - low, 1e-3)
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (factor * step) <= count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def signed(value: float, digits: int = 3) -> str:
    """With a real minus sign, and none before zero."""
    text = f"{value:z.{digits}f}"
    return text.replace("-", "−")


def profile(controls: list[Control]) -> dict:
    """Geometry for the template.

    Returns:
        ``lines`` (name, colour, dashes, path, marks), ``rows`` and ``columns`` (position, text), and the frame.
    """
    values = [value for control in controls for value in control.alpha]
    scale = ticks(min(values), max(values))
    count = len(controls[0].alpha)
    inner_w, inner_h = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def x(j: int) -> float:
        return _LEFT + inner_w * (j + 0.5) / count

    def y(value: float) -> float:
        return _TOP + inner_h * (scale[-1] - value) / (scale[-1] - scale[0])

    digits = max(0, -math.floor(math.log10(scale[1] - scale[0]) + 1e-9))
    every = math.ceil(count / 15)
    lines = []
    for control in controls:
        name, colour, dashes, shape = CONDITION_LOOKS[control.condition]
        points = [(x(j), y(value)) for j, value in enumerate(control.alpha)]
        lines.append(
            {
                "name": name,
                "colour": colour,
                "dashes": " ".join(str(dash) for dash in dashes),
                "path": "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in points),
                "marks": "".join(mark(shape, px, py) for px, py in points),
                "sign": mark(shape, 12, 7),
            }
        )
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "lines": lines[::-1],  # the true image last, so that it lies on top
        "rows": [(round(y(value), 1), signed(value, digits)) for value in scale],
        "columns": [(round(x(j), 1), str(j + 1)) for j in range(0, count, every)],
        "bottom": HEIGHT - _BOTTOM,
    }
