"""Whether two pictures are the same one: to the pixel, or resized, recompressed or cropped.

Perceptual hashes of the wholes, and of windows that stand for a crop, name candidates; laying one thumbnail on the
other decides.  docs/data.md says what is found so of drawn copies, and how often two pictures are taken for one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

SIDE, COARSE = 128, 32
"""Pixels of the square grey thumbnail on which likeness is measured, and of the one on which a place is sought."""
CROPS = (0.97, 0.93, 0.89, 0.85, 0.81)
"""Sides of the windows that stand for a crop, as shares of the picture's; each at nine places."""
SHARES = (1.0, 0.97, 0.94, 0.91, 0.88, 0.85, 0.82, 0.79)
"""Sides of a crop that are tried."""
FREQUENCIES = 11
"""In each direction, of a hash, which has a bit for each pair of them."""
CANDIDATE = 30
"""Most bits of the 121 in which the hashes of two pictures differ that are compared."""
ALIKE, PROMISING = 0.94, 0.75
"""Least correlation of two pictures that are one; and of their coarse thumbnails, where the fine ones are compared."""
DIFFERENT = 25.0
"""Grey levels: the most by which any tile of the one differs from the other's in the mean, twice that in the coarse."""
TILE = 0.09
"""Side of a tile, as a share of the thumbnail's."""
FLAT = 2.0
"""Least standard deviation of grey levels of a picture that is known by more than its exact pixels."""


@dataclass(frozen=True)
class Look:
    """What is kept of a picture.

    Attributes:
        pixels: 16 hexadecimal digits of the hash of its size and its pixels.
        thumbnail: ``(SIDE, SIDE)`` grey levels, a little out of focus.
        hashes: ``(windows, 2)`` perceptual hash of the whole, then of each window; none of a flat picture.
    """

    pixels: str
    thumbnail: NDArray[np.uint8]
    hashes: NDArray[np.uint64]


def look(image: Image.Image) -> Look:
    """Of an 8-bit RGB picture (:func:`kawhi.pictures.rgb.picture`)."""
    grey = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY)
    thumbnail = cv2.GaussianBlur(_shrunk(grey, SIDE), (0, 0), 1.0).astype(np.uint8)
    pixels = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()[:16]
    flat = thumbnail.std() < FLAT
    return Look(pixels, thumbnail, np.zeros((0, 2), np.uint64) if flat else _hashes([*_windows(thumbnail)]))


def _shrunk(picture: NDArray, side: int) -> NDArray:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def _windows(thumbnail: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The whole, then the windows."""
    yield thumbnail
    for share in CROPS:
        side = round(share * SIDE)
        places = (0, (SIDE - side) // 2, SIDE - side)
        yield from (thumbnail[y : y + side, x : x + side] for y in places for x in places)


def _hashes(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint64]:
    """pHash: which of the lowest frequencies are above their median."""
    small = np.stack([_shrunk(each, 32) for each in pictures]).astype(np.float32)
    low = dctn(small, axes=(1, 2))[:, :FREQUENCIES, :FREQUENCIES].reshape(len(small), -1)
    bits = np.zeros((len(small), 128), bool)
    bits[:, : low.shape[1]] = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)


class Looks:
    """Pictures, among which those that are another one are found."""

    def __init__(self, looks: Sequence[Look]) -> None:
        self._looks = looks
        self._exact: dict[str, list[int]] = {}
        for number, each in enumerate(looks):
            self._exact.setdefault(each.pixels, []).append(number)
        self._numbers = np.array([i for i, each in enumerate(looks) if len(each.hashes)], np.int64)
        shape = (-1, 1 + 9 * len(CROPS), 2)
        self._hashes = np.array([looks[i].hashes for i in self._numbers], np.uint64).reshape(shape)

    def same_as(self, other: Look) -> dict[int, float]:
        """Number of each picture that is the other one -> how alike they are: 1 to the pixel, else the correlation."""
        found = dict.fromkeys(self._exact.get(other.pixels, []), 1.0)
        for number in self._candidates(other):
            if number not in found and (alike := likeness(self._looks[number], other)):
                found[number] = alike
        return found

    def _candidates(self, other: Look) -> list[int]:
        """Pictures whose hash of the whole is that of a window of the other one, or the other way round."""
        if not len(other.hashes):
            return []
        in_other = _distances(self._hashes[:, :1], other.hashes).min(axis=1)
        in_ours = _distances(self._hashes, other.hashes[:1]).min(axis=1)
        return self._numbers[np.minimum(in_other, in_ours) <= CANDIDATE].tolist()


def _distances(ours: NDArray[np.uint64], theirs: NDArray[np.uint64]) -> NDArray[np.uint8]:
    counts = np.bitwise_count(ours ^ theirs)
    return counts[..., 0] + counts[..., 1]  # several times as fast as their sum over an axis of two


def likeness(one: Look, other: Look) -> float:
    """How well one of them lies on a part of the other; 0 where they are two pictures."""
    return max(_within(one, other), _within(other, one))


def _within(part: Look, whole: Look) -> float:
    small, large = (_shrunk(each.thumbnail, COARSE) for each in (part, whole))
    found = {share: _laid(small, large, round(share * COARSE)) for share in SHARES}
    best = max(found, key=found.__getitem__)
    if found[best][0] < PROMISING or found[best][1] > 2 * DIFFERENT:
        return 0.0
    sides = {min(SIDE, round(best * SIDE) + more) for more in range(-4, 5)}
    correlation, difference = max(_laid(part.thumbnail, whole.thumbnail, side) for side in sides)
    return min(correlation, 0.9999) if correlation >= ALIKE and difference <= DIFFERENT else 0.0


def _laid(part: NDArray[np.uint8], whole: NDArray[np.uint8], side: int) -> tuple[float, float]:
    """A picture in this size laid on another one where it lies best: correlation, and most that a tile differs."""
    small = _shrunk(part, side)
    # A place without contrast correlates with nothing.
    placed = np.nan_to_num(cv2.matchTemplate(whole, small, cv2.TM_CCOEFF_NORMED), posinf=0, neginf=0)
    y, x = np.unravel_index(placed.argmax(), placed.shape)
    apart = cv2.absdiff(small, whole[y : y + side, x : x + side]).astype(np.float32)
    tile = round(TILE * len(whole))
    return float(placed[y, x]), float(cv2.blur(apart, (tile, tile)).max())
