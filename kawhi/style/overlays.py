"""Region borders and heat as geometry and colours, for the page and for the picture."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Okabe and Ito's colours, told apart with every common colour blindness.
BLUE, SKY, GREEN, ORANGE, VERMILION = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00"
INK, GREY, LINE = "#1A1A1A", "#5F5F5F", "#B8B8B8"

# How the conditions of the grounding controls look: name, colour, line, marker.
CONDITION_LOOKS = {
    "true_image": ("true image", INK, "-", "o"),
    "blank": ("blank image", SKY, "--", "s"),
    "wrong_image": ("wrong image", VERMILION, ":", "^"),
    "background_only": ("background only", GREEN, "-.", "D"),
}

_EMBEDDED_SIDE = 1280  # pixels of the longer side: sharp on a page 560 px wide at twice the density
_ENLARGED_SIDE = 640  # a tiny image is enlarged smoothly, else each browser does it its own way
_PNG_LIMIT = 400_000  # bytes; a drawing stays below it, a photograph is embedded as JPEG

Segment = tuple[tuple[int, int], tuple[int, int]]


def borders(labels: NDArray[np.int64]) -> list[Segment]:
    """Lines ``((x0, y0), (x1, y1))`` between tokens of different regions; collinear neighbours are one line.

    Args:
        labels: ``(gh, gw)``.
    """
    upright = _runs(labels[:, 1:] != labels[:, :-1])
    level = _runs((labels[1:] != labels[:-1]).T)
    return [((x + 1, a), (x + 1, b)) for x, a, b in upright] + [((a, y + 1), (b, y + 1)) for y, a, b in level]


def _runs(different: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """``(column, start, end)`` of the vertical runs of True, column by column."""
    padded = np.pad(different.T.astype(np.int8), ((0, 0), (1, 1)))
    change = np.diff(padded, axis=1)
    columns, starts = np.nonzero(change == 1)
    _, ends = np.nonzero(change == -1)
    return [(int(c), int(a), int(b)) for c, a, b in zip(columns, starts, ends, strict=True)]


def mix(share: float, colour: str, ground: str = "#FFFFFF") -> str:
    """``ground`` at share 0, ``colour`` at 1, as ``#RRGGBB``."""
    share = min(max(share, 0.0), 1.0)
    pairs = zip(_channels(ground), _channels(colour), strict=True)
    return "#" + "".join(f"{round(g + share * (c - g)):02X}" for g, c in pairs)


def diverging(value: float, limit: float, strength: float = 1.0) -> str:
    """Blue below zero, white at it, vermilion above; full colour, times ``strength``, at ``limit``."""
    share = 0.0 if limit == 0 else strength * abs(value) / limit
    return mix(share, VERMILION if value > 0 else BLUE)


def heat_pixels(heat: NDArray[np.floating], limit: float) -> NDArray[np.uint8]:
    """``(gh, gw, 3)`` diverging colours of ``(gh, gw)`` cosines, one pixel per visual token."""
    share = np.clip(np.abs(heat) / limit if limit else np.zeros_like(heat), 0, 1)[..., None]
    colour = np.where((heat > 0)[..., None], _channels(VERMILION), _channels(BLUE))
    return np.rint(255 + share * (colour - 255)).astype(np.uint8)


def png_uri(pixels: NDArray[np.uint8]) -> str:
    """A data URI of ``uint8 (h, w, 3)``."""
    return _uri(Image.fromarray(pixels), "PNG")


def image_uri(image: Image.Image) -> str:
    """A data URI of an image at a size that fits a page: large ones reduced, tiny ones enlarged smoothly."""
    shown, longer = image.convert("RGB"), max(image.size)
    scale = min(1.0, _EMBEDDED_SIDE / longer) if longer > _ENLARGED_SIDE else -(-_ENLARGED_SIDE // longer)
    if scale != 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        shown = shown.resize(size, Image.Resampling.LANCZOS)
    uri = _uri(shown, "PNG")
    return uri if len(uri) <= _PNG_LIMIT else _uri(shown, "JPEG", quality=88)


def from_uri(uri: str) -> Image.Image:
    """The image of a data URI."""
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")


def _uri(image: Image.Image, kind: str, **options) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _channels(colour: str) -> NDArray[np.float64]:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float64)
