"""A drawing: thin strokes and short labels on an empty page, in units that do not depend on the image size.

Every primitive is recorded before anything is rasterised, so that one drawing renders at 168 px (patches of 28) and at
192 px (patches of 32), and so that its fingerprint, which decides its data split, is the same for both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

PAGE = 168.0
"""Side of the page in drawing units."""

LABEL_SIZE = 22
"""Default height of a label in drawing units."""


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)  # the font that ships inside Pillow: no system font is needed


@dataclass
class Drawing:
    """Recorded primitives of one image.

    Attributes:
        primitives: ``(kind, coordinates..., extras)`` tuples in drawing order; the fingerprint hashes them.
        glyphs: ``(x, y, character)`` in page units: where each character can be read.  A point of an unlabelled
            curve carries its value, since that is what the warm start must learn to see there.
    """

    primitives: list[tuple] = field(default_factory=list)
    glyphs: list[tuple[float, float, str]] = field(default_factory=list)

    def line(self, points: Sequence[tuple[float, float]], grey: int = 0) -> None:
        self.primitives.append(("line", tuple(points), grey))

    def rectangle(self, x0: float, y0: float, x1: float, y1: float) -> None:
        self.primitives.append(("rectangle", (x0, y0, x1, y1)))

    def circle(self, x: float, y: float, radius: float, filled: bool = False) -> None:
        self.primitives.append(("circle", (x, y, radius), filled))

    def label(self, x: float, y: float, text: str, size: int = LABEL_SIZE) -> None:
        self.primitives.append(("label", (x, y), text, size))
        advance = size * 0.58
        for i, character in enumerate(text):
            self.glyphs.append((x + (i - (len(text) - 1) / 2) * advance, y, character))

    def value_at(self, x: float, y: float, value: int) -> None:
        """Records that a value can be read off at this point although no digit is drawn there."""
        self.glyphs.append((x, y, str(value)))

    def fingerprint(self) -> bytes:
        """32 bytes that are equal exactly when two drawings show the same picture."""
        return hashlib.sha256(repr(self.primitives).encode()).digest()

    def render(self, size: int) -> Image.Image:
        """Rasterises the page to a ``size x size`` RGB image: dark strokes, one pixel wide, on white."""
        scale = size / PAGE
        image = Image.new("L", (size, size), 255)
        pen = ImageDraw.Draw(image)
        width = max(1, round(scale))
        for kind, where, *extra in self.primitives:
            if kind == "line":
                pen.line([(x * scale, y * scale) for x, y in where], fill=extra[0], width=width)
            elif kind == "rectangle":
                pen.rectangle([v * scale for v in where], outline=0, width=width)
            elif kind == "circle":
                x, y, r = (v * scale for v in where)
                box = [x - r, y - r, x + r, y + r]
                pen.ellipse(box, fill=0) if extra[0] else pen.ellipse(box, outline=0, width=width)
            else:
                text, label_size = extra
                position = (where[0] * scale, where[1] * scale)
                pen.text(position, text, font=_font(round(label_size * scale)), fill=0, anchor="mm")
        return image.convert("RGB")
