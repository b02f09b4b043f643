"""SGUF against what reading the image costs anyway, and against the segmentation of scikit-image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.segmentation import felzenszwalb, slic

from benchmarks.pictures import PATCH, PICTURES, SIDES
from benchmarks.races import Race, Target
from kawhi.regions.sguf import sguf

FLOOR, BYTES, FELZENSZWALB, SLIC = "OpenCV floor", "OpenCV floor, 8-bit L", "felzenszwalb", "slic"
TARGETS = (
    Target("SGUF within 2× of reading the image into L and taking its gradients", FLOOR, "at_most", 2),
    Target("SGUF at least 40× faster than felzenszwalb", FELZENSZWALB, "at_least", 40),
    Target("SGUF at least 40× faster than slic", SLIC, "at_least", 40),
)
# scikit-image needs seconds at 4 megapixels and minutes at 16.
ROUNDS = {0.25: (40, 5), 1: (30, 5), 4: (12, 2), 16: (5, 1)}


def floor(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The image as L in floating point, smoothed, and its two gradients: the least that SGUF's equations need."""
    scaled = np.multiply(rgb, np.float32(1 / 255), dtype=np.float32)
    return gradients(cv2.extractChannel(cv2.cvtColor(scaled, cv2.COLOR_RGB2Lab), 0), cv2.CV_32F)


def floor_of_bytes(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with L rounded to bytes, which is faster and which SGUF does not do."""
    return gradients(cv2.extractChannel(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab), 0), cv2.CV_16S)


def gradients(lightness: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    smooth = cv2.GaussianBlur(lightness, (0, 0), 1.0)
    return cv2.Sobel(smooth, depth, 1, 0), cv2.Sobel(smooth, depth, 0, 1)


@pytest.mark.parametrize("megapixels", SIDES)
@pytest.mark.parametrize("name", PICTURES)
def test_sguf(race, publish, name, megapixels):
    side = SIDES[megapixels]
    picture = PICTURES[name](side)
    patches = (side // PATCH) ** 2
    rounds, slow_rounds = ROUNDS[megapixels]
    kawhi, rivals = race(
        lambda: sguf(picture, PATCH),
        {FLOOR: lambda: floor(picture), BYTES: lambda: floor_of_bytes(picture)},
        rounds=rounds,
        slow={FELZENSZWALB: lambda: felzenszwalb(picture), SLIC: lambda: slic(picture, n_segments=patches)},
        slow_rounds=slow_rounds,
    )
    milliseconds = {rival: 1e3 * seconds for rival, seconds in rivals.items()}
    setting = f"{name}, {megapixels:g} megapixel{'s' * (megapixels > 1)}, one core"
    publish(Race("regions", setting, "ms", 1e3 * kawhi, milliseconds, TARGETS if megapixels == 1 else ()))


@pytest.mark.parametrize("name", PICTURES)
def test_growth(race, publish, name):
    """Linear in pixels: the time per pixel stays, up to what caches of limited size make of it."""
    pictures = {megapixels: PICTURES[name](side) for megapixels, side in SIDES.items()}
    smaller = {f"{m:g} MP": m for m in pictures if m < 16}
    kawhi, rivals = race(
        lambda: sguf(pictures[16], PATCH),
        {label: lambda m=m: sguf(pictures[m], PATCH) for label, m in smaller.items()},
        rounds=8,
        calls=3,
    )
    per_pixel = {label: 1e9 * rivals[label] / SIDES[m] ** 2 for label, m in smaller.items()}
    claim = "SGUF's growth is linear: a pixel of 16 megapixels costs at most 1.5× one of 0.25"
    target = Target(claim, "0.25 MP", "at_most", 1.5)
    publish(Race("growth", f"{name}, one core", "ns", 1e9 * kawhi / SIDES[16] ** 2, per_pixel, [target]))
