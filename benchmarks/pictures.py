"""The pictures that SGUF is measured on: one drawn, one with structure everywhere."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kawhi.tiny.world import problems

PATCH = 28
SIDES = {0.25: 504, 1: 1008, 4: 2016, 16: 4032}
"""Megapixels, rounded -> side of a square picture, a multiple of :data:`PATCH`."""


def chart(side: int) -> NDArray[np.uint8]:
    """A bar chart of the tiny world, drawn at this size, on paper with a faint grain."""
    drawing = next(p.drawing for p in problems("heldout", seed=0) if p.task.startswith("bar_"))
    page = np.asarray(drawing.render(side), dtype=np.float32)
    grain = np.random.default_rng(0).normal(0, 2, page.shape).astype(np.float32)
    return np.clip(page - 8 + grain, 0, 255).astype(np.uint8)


def texture(side: int) -> NDArray[np.uint8]:
    """Noise with as much contrast at every scale, as photographs have it, in three correlated colours."""
    random = np.random.default_rng(1)
    picture = np.full((side, side, 3), 128, np.float32)
    cells = 4
    while cells <= side:
        grey, colour = random.normal(0, 1, (cells, cells, 1)), random.normal(0, 0.4, (cells, cells, 3))
        octave = (14 * (grey + colour)).astype(np.float32)
        picture += cv2.resize(octave, (side, side), interpolation=cv2.INTER_CUBIC)
        cells *= 2
    return np.clip(picture, 0, 255).astype(np.uint8)


PICTURES = {"chart": chart, "texture": texture}
