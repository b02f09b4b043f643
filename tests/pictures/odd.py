"""Image files of every kind that show one drawing, and what a viewer shows of each."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

TURN = Image.Transpose
STORED = {  # how a camera stores a drawing that it marks with this orientation
    1: None,
    2: TURN.FLIP_LEFT_RIGHT,
    3: TURN.ROTATE_180,
    4: TURN.FLIP_TOP_BOTTOM,
    5: TURN.TRANSPOSE,
    6: TURN.ROTATE_90,
    7: TURN.TRANSVERSE,
    8: TURN.ROTATE_270,
}
ORIENTATION = 274


@dataclass(frozen=True)
class Odd:
    """An encoded image.

    Attributes:
        seen: ``uint8 (H, W, 3)``.
        off: by how much a lossy format, or a conversion of colours, may differ.
    """

    content: bytes
    seen: NDArray[np.uint8]
    off: int = 0


def drawing(width: int, height: int) -> Image.Image:
    """Strokes and patches in five colours on white; turned or mirrored in any way it is another one."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[height // 8 : height // 4, width // 8 : width // 2] = (255, 0, 0)
    pixels[height // 2 :, : width // 4] = (0, 0, 255)
    pixels[-height // 4 :, width // 2 :] = (128, 128, 128)
    pixels[:, width // 3 : width // 3 + 3] = 0
    pixels[height // 3 : height // 3 + 3] = 0
    return Image.fromarray(pixels)


def files(image: Image.Image) -> dict[str, Odd]:
    """An RGB image in every kind of file, by name."""
    return {**_turned(image), **_transparent(image), **_deep(image), **_others(image)}


def plain(image: Image.Image) -> bytes:
    return _encoded(image, "PNG")


def photograph(image: Image.Image, orientation: int) -> Odd:
    """A JPEG whose EXIF block has this orientation."""
    options = {"quality": 100, "subsampling": 0, "exif": _exif(orientation)}
    return Odd(_encoded(_stored(image, orientation), "JPEG", **options), np.asarray(image), 4)


def transparent(image: Image.Image, mode: str) -> Odd:
    """Black ink, thinner where the image is lighter, on a transparent page, which is black underneath."""
    grey = image.convert("L")
    page = Image.merge("LA", (Image.new("L", image.size, 0), grey.point(lambda value: 255 - value)))
    return Odd(_encoded(page.convert(mode), "PNG"), np.asarray(grey.convert("RGB")))


def _turned(image: Image.Image) -> dict[str, Odd]:
    seen = np.asarray(image)
    found = {f"JPEG, orientation {each}": photograph(image, each) for each in STORED}
    options = {"lossless": True, "exif": _exif(8)}
    found["WebP, orientation 8"] = Odd(_encoded(_stored(image, 8), "WEBP", **options), seen)
    found["PNG, orientation 6"] = Odd(_encoded(_stored(image, 6), "PNG", exif=_exif(6)), seen)
    found["TIFF, orientation 5"] = Odd(_encoded(_stored(image, 5), "TIFF", tiffinfo={ORIENTATION: 5}), seen)
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta><rdf:Description tiff:Orientation="3"/></x:xmpmeta>')
    found["PNG, orientation 3 in XMP"] = Odd(_encoded(_stored(image, 3), "PNG", pnginfo=text), seen)
    grey = image.convert("L")
    deep = Image.fromarray(np.asarray(_stored(grey, 7)).astype(np.uint16) * 257)
    both = Odd(_encoded(deep, "PNG", exif=_exif(7)), np.asarray(grey.convert("RGB")))
    found["PNG, 16 bits, orientation 7"] = both
    return found


def _transparent(image: Image.Image) -> dict[str, Odd]:
    found = {f"PNG, {mode}": transparent(image, mode) for mode in ("RGBA", "LA")}
    page = transparent(image, "RGBA")
    rgba = Image.open(io.BytesIO(page.content))
    turned = _encoded(_stored(rgba, 6), "WEBP", lossless=True, exact=True, exif=_exif(6))
    found["WebP, RGBA, orientation 6"] = Odd(turned, page.seen)
    found["TIFF, RGBA"] = Odd(_encoded(rgba, "TIFF"), page.seen)
    # An index for the page beside black's own, which is black, too.
    strokes = np.asarray(image).min(axis=2) < 128
    indexed = Image.fromarray(np.where(strokes, 0, 1).astype(np.uint8), "P")
    indexed.putpalette([0, 0, 0, 0, 0, 0])
    seen = np.repeat(np.where(strokes, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    found["GIF, one transparent colour"] = Odd(_encoded(indexed, "GIF", transparency=1, optimize=False), seen)
    found["PNG, palette with alpha"] = Odd(_encoded(indexed, "PNG", transparency=bytes([255, 0])), seen)
    grey = Image.fromarray(np.where(strokes, 10, 20).astype(np.uint8))
    seen = np.where(strokes, 10, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    found["PNG, one transparent grey"] = Odd(_encoded(grey, "PNG", transparency=20), seen)
    found["PNG, one transparent RGB"] = Odd(_encoded(grey.convert("RGB"), "PNG", transparency=(20, 20, 20)), seen)
    deep = Image.fromarray(np.where(strokes, 2570, 5140).astype(np.uint16))
    found["PNG, one transparent grey of 16 bits"] = Odd(_encoded(deep, "PNG", transparency=5140), seen)
    return found


def _deep(image: Image.Image) -> dict[str, Odd]:
    grey = image.convert("L")
    values = np.asarray(grey)
    seen = np.asarray(grey.convert("RGB"))
    sixteen = values.astype(np.uint16) * 257
    big = Image.frombytes("I;16B", grey.size, sixteen.astype(">u2").tobytes())
    colours = np.asarray(image)
    _, rgb = cv2.imencode(".png", colours[..., ::-1].astype(np.uint16) * 257)  # PIL writes no such file
    shifted = Image.fromarray(values.astype(np.float32) * 3 - 400)
    return {
        "PNG, 16 bits": Odd(_encoded(Image.fromarray(sixteen), "PNG"), seen),
        "TIFF, 16 bits": Odd(_encoded(Image.fromarray(sixteen), "TIFF"), seen),
        "TIFF, 16 bits, big endian": Odd(_encoded(big, "TIFF"), seen),
        "PGM, 16 bits": Odd(b"P5 %d %d 65535\n" % grey.size + sixteen.astype(">u2").tobytes(), seen),
        "PNG, RGB of 16 bits": Odd(rgb.tobytes(), colours),
        "TIFF, integers": Odd(_encoded(Image.fromarray(values.astype(np.int32)), "TIFF"), seen),
        "TIFF, floats to 1": Odd(_encoded(Image.fromarray(values.astype(np.float32) / 255), "TIFF"), seen),
        "TIFF, floats to 255": Odd(_encoded(Image.fromarray(values.astype(np.float32)), "TIFF"), seen),
        "TIFF, floats around 0": Odd(_encoded(shifted, "TIFF"), seen),
    }


def _others(image: Image.Image) -> dict[str, Odd]:
    seen = np.asarray(image)
    bits = image.convert("L").point(lambda value: 255 * (value > 100), "1")
    lab = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    quality = {"quality": 100, "subsampling": 0}
    frames = {"save_all": True, "append_images": [Image.new("RGB", image.size, "green")]}
    return {
        "PNG, RGB": Odd(plain(image), seen),
        "PNG, 1 bit": Odd(_encoded(bits, "PNG"), np.asarray(bits.convert("RGB"))),
        "PNG, palette": Odd(_encoded(image.quantize(8), "PNG"), seen),
        "PNG, grey": Odd(_encoded(image.convert("L"), "PNG"), np.asarray(image.convert("L").convert("RGB"))),
        "BMP": Odd(_encoded(image, "BMP"), seen),
        "GIF, two frames": Odd(_encoded(image.quantize(8), "GIF", **frames), seen),
        "JPEG, CMYK": Odd(_encoded(image.convert("CMYK"), "JPEG", **quality), seen, 4),
        "TIFF, CMYK": Odd(_encoded(image.convert("CMYK"), "TIFF"), seen),
        "TIFF, YCbCr": Odd(_encoded(image.convert("YCbCr"), "TIFF"), seen, 2),
        "TIFF, LAB": Odd(_encoded(lab, "TIFF"), seen, 24),
    }


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def _stored(image: Image.Image, orientation: int) -> Image.Image:
    turn = STORED[orientation]
    return image if turn is None else image.transpose(turn)


def _encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
