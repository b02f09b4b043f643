"""Any image file as the one picture that training, evaluation, region selection and every page see.

PIL, ``datasets``, verl, vLLM and the models' processors each decode in their own way: some turn a photograph as its
EXIF block says and some do not, some lay a transparent page on white and some on black.  Here it is done once, before
them, and leaves them nothing to decide: 8 bits, RGB, nothing beside the pixels.
"""

from __future__ import annotations

import contextlib
import io
import os

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile, ImageOps

_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
"""Modes with one channel of more than 8 bits, which PIL cuts off at 255."""

_DEPTHS = (1, 255, 65535)
"""White, where a format does not say it: the least of these that no value exceeds.  An integer 1 is no white."""


def picture(source: Image.Image | bytes | str | os.PathLike[str]) -> Image.Image:
    """The 8-bit RGB picture that a viewer shows: upright, transparency on white, white as bright as the depth has it.

    Of several frames the first.  Colours are the file's numbers: its ICC profile is not applied.

    Args:
        source: an image, an encoded one or its file.

    Raises:
        Exception: one of the many kinds that PIL raises on broken files, also where only the last pixels are missing.
    """
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # lmms-eval sets it when it is imported, and half a picture would pass
    if isinstance(source, Image.Image):
        return _picture(source)
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        return _picture(image)


def _picture(image: Image.Image) -> Image.Image:
    image.load()  # a TIFF turns itself, and a PNG may have its EXIF block at the end
    rgb = _in_eight_bits(image) if image.mode in _DEEP else _on_white(image)
    rgb.info = {}
    orientation = None
    with contextlib.suppress(Exception):  # a block that cannot be read says nothing; viewers show such a file as it is
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    # On the bare pixels: PIL turns an image only when it can write the whole EXIF block again.
    rgb.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(rgb)


def _on_white(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    if image.mode == "LAB":
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB") or image
    return image.convert("RGB")


def _in_eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    low, high = _range(values, image.mode)
    grey = np.nan_to_num((values - low) * (255 / (high - low)), nan=0.0, posinf=255.0, neginf=0.0)
    grey[values == image.info.get("transparency")] = 255
    return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")


def _range(values: NDArray[np.float64], mode: str) -> tuple[float, float]:
    """The values that are black and white; where there are negative or larger ones, the least and the greatest."""
    if mode.startswith("I;16"):
        return 0, 65535
    finite = values[np.isfinite(values)]
    low, high = finite.min(initial=0), finite.max(initial=0)
    white = next((depth for depth in _DEPTHS if high <= depth and (mode == "F" or depth > 1)), None)
    return (low, high) if low < 0 or white is None else (0, white)
