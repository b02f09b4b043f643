"""Structure-Guided Union-Find: which patches of an image belong together, and which groups carry structure.

Paper: section 3.2, equations 5-10, algorithm 1.
"""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kawhi.pictures.rgb import picture

# sRGB (IEC 61966-2-1) decoding of all 256 byte values, times the luminance row of the sRGB -> XYZ (D65) matrix: the
# share (1, 256, 3) that each byte of each channel has in Y.
_BYTES = np.arange(256) / 255.0
_SRGB_TO_LINEAR = np.where(_BYTES <= 0.04045, _BYTES / 12.92, ((_BYTES + 0.055) / 1.055) ** 2.4)
_SHARE_OF_Y = (_SRGB_TO_LINEAR[:, None] * np.array([0.2126729, 0.7151522, 0.0721750]))[None]
_CBRT_FROM = (6 / 29) ** 3  # below, CIELab replaces the cube root by its tangent at this point
_TANGENT = 1 / (3 * (6 / 29) ** 2)
_STRIP_PIXELS = 1 << 16  # luminance is computed in strips of rows that stay in the processor's cache
MEDIANS = ("components", "tokens")
SMOOTHED = ("luminance", "responses")
_ROUNDING = 1e-22  # one grey level in one pixel 4 sigma away makes an eigenvalue above 1e-20; a flat patch below 1e-25


@dataclass(frozen=True)
class RegionMap:
    """Connected components of an image on its grid of ``gh x gw`` visual tokens.

    Attributes:
        labels: ``(gh, gw)`` int64, component of each token, numbered in row-major order of first appearance.
        energy: ``(K,)`` mean trace of the structure tensor per component, equation 9.
        is_key: ``(K,)`` bool, ``energy > threshold``.
        eigenvalues: ``(gh, gw, 2)`` as (lambda_max, lambda_min) of the area-normalised tensor, equation 6.
        luminance: ``(gh, gw)`` patch mean of the smoothed L, in [0, 100].
        threshold: tau of equation 10.
    """

    labels: NDArray[np.int64]
    energy: NDArray[np.float64]
    is_key: NDArray[np.bool_]
    eigenvalues: NDArray[np.float64]
    luminance: NDArray[np.float64]
    threshold: float

    @property
    def key_tokens(self) -> NDArray[np.bool_]:
        """``(gh, gw)`` True where the token lies in a key region."""
        return self.is_key[self.labels]

    def save(self, file: Path) -> None:
        """Writes an ``.npz`` file atomically, also beside another process or thread; its folder is made."""
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.stem}.{os.getpid()}.{threading.get_ident()}.npz")
        np.savez(temporary, **vars(self))
        os.replace(temporary, file)

    @classmethod
    def load(cls, file: Path) -> RegionMap:
        """The map that :meth:`save` wrote."""
        with np.load(file) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return cls(**{**arrays, "threshold": float(arrays["threshold"])})


def sguf(
    image: Image.Image | NDArray[np.uint8],
    patch_size: int,
    *,
    structure_threshold: float = 0.5,
    luminance_threshold: float = 30.0,
    energy_scale: float = 0.1,
    sigma: float = 1.0,
    median_over: str = "components",
    smoothed: str = "luminance",
    epsilon: float = 1e-6,
) -> RegionMap:
    """Groups the patches of an image and finds the groups that carry structure.

    Args:
        image: PIL image or ``uint8 (H, W, 3)`` in sRGB; both sides multiples of ``patch_size``.
        patch_size: side in pixels of the area one visual token covers: 28 for Qwen2.5-VL, 32 for Qwen3-VL.
        structure_threshold: delta_s of equation 8.
        luminance_threshold: delta_l of equation 8, in units of L (0-100).
        energy_scale: beta of equation 10.
        sigma: standard deviation in pixels of the Gaussian; 0 smooths nothing.
        median_over: what equation 10's median counts once: ``components``, or ``tokens``, each with its component's
            energy.
        smoothed: what the Gaussian is applied to: L, as in section 3.2, or the ``responses`` that appendix A names, the
            products of gradients that equation 5 sums up.
        epsilon: floor of equation 8's denominator, in units of eigenvalues; two flat patches have distance 0.

    Raises:
        ValueError: the image is no 8-bit RGB image, a side is no multiple of ``patch_size``, ``sigma`` is negative or
            not finite, ``epsilon`` is not positive, or a choice does not exist.
    """
    if patch_size < 1 or not 0 <= sigma < math.inf or not epsilon > 0:
        raise ValueError(
            f"need patch_size >= 1, a finite sigma >= 0 and epsilon > 0, got {patch_size=} {sigma=} {epsilon=}"
        )
    if median_over not in MEDIANS or smoothed not in SMOOTHED:
        raise ValueError(f"need median_over of {MEDIANS} and smoothed of {SMOOTHED}, got {median_over=} {smoothed=}")
    before, after = (sigma, 0.0) if smoothed == "luminance" else (0.0, sigma)
    smooth = _smoothed(luminance(_as_rgb(image, patch_size)), before)
    eigenvalues = structure_eigenvalues(smooth, patch_size, after)
    lightness = _patch_mean(smooth, patch_size)
    labels = _merge(eigenvalues, lightness, structure_threshold, luminance_threshold, epsilon)
    trace = eigenvalues.sum(axis=-1)
    energy = np.bincount(labels.ravel(), weights=trace.ravel()) / np.bincount(labels.ravel())
    threshold = float(energy_scale * np.median(energy if median_over == "components" else energy[labels]))
    return RegionMap(labels, energy, energy > threshold, eigenvalues, lightness, threshold)


def luminance(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIELab L in [0, 100] of an sRGB image ``(H, W, 3)``, D65 white."""
    lightness = np.empty(rgb.shape[:2])
    rows = max(1, _STRIP_PIXELS // max(1, rgb.shape[1]))
    for top in range(0, len(rgb), rows):
        y = cv2.transform(cv2.LUT(np.ascontiguousarray(rgb[top : top + rows]), _SHARE_OF_Y), np.ones((1, 3)))
        # L = 116 f(Y) - 16, where f is the cube root above the threshold and the tangent there below it.
        root, below = np.cbrt(np.maximum(y, _CBRT_FROM)), np.minimum(y, _CBRT_FROM)
        constant = -16 - 116 * _TANGENT * _CBRT_FROM
        lightness[top : top + rows] = cv2.addWeighted(root, 116, below, 116 * _TANGENT, constant)
    return lightness


def structure_eigenvalues(smooth: NDArray[np.float64], patch_size: int, sigma: float = 0.0) -> NDArray[np.float64]:
    """Eigenvalues of every patch's mean gradient outer product, equations 5-6.

    Args:
        smooth: ``(H, W)`` smoothed luminance.
        sigma: of a Gaussian over the products of gradients; 0 is none.

    Returns:
        ``(H / patch_size, W / patch_size, 2)`` as (lambda_max, lambda_min), both >= 0.
    """
    gx = cv2.Sobel(smooth, cv2.CV_64F, 1, 0, ksize=3, borderType=cv2.BORDER_REFLECT_101)
    gy = cv2.Sobel(smooth, cv2.CV_64F, 0, 1, ksize=3, borderType=cv2.BORDER_REFLECT_101)
    pairs = ((gx, gx), (gy, gy), (gx, gy))
    xx, yy, xy = (_mean_product(np.asarray(u), np.asarray(v), patch_size, sigma) for u, v in pairs)
    # Closed form for a symmetric 2 x 2 matrix; rounding can push a zero lambda_min just below zero.
    centre = (xx + yy) / 2
    radius = np.hypot((xx - yy) / 2, xy)
    eigenvalues = np.stack([centre + radius, np.maximum(centre - radius, 0.0)], axis=-1)
    # A flat patch has structure 0, not the rounding of its blur: else equation 10 finds key regions in a blank page.
    return np.where(eigenvalues < _ROUNDING, 0.0, eigenvalues)


def _as_rgb(image: Image.Image | NDArray[np.uint8], patch_size: int) -> NDArray[np.uint8]:
    rgb = np.asarray(picture(image) if isinstance(image, Image.Image) else image)
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"expected a PIL image or uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
    for side, name in zip(rgb.shape[:2], ("height", "width"), strict=True):
        if side == 0 or side % patch_size:
            raise ValueError(f"the image's {name} of {side} px is not a positive multiple of patch_size={patch_size}")
    return rgb


def _mean_product(u: NDArray[np.float64], v: NDArray[np.float64], patch_size: int, sigma: float) -> NDArray[np.float64]:
    """Mean over each patch of the product of two gradients."""
    if sigma:
        return _patch_mean(_smoothed(u * v, sigma), patch_size)
    return np.einsum("ipjq,ipjq->ij", _in_patches(u, patch_size), _in_patches(v, patch_size)) / patch_size**2


def _smoothed(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    if sigma == 0:
        return values
    # ksize (0, 0): OpenCV takes 8 sigma + 1 taps for floating-point images, so nothing visible is cut off.
    blurred = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float64)


def _patch_mean(values: NDArray[np.float64], patch_size: int) -> NDArray[np.float64]:
    patches = _in_patches(values, patch_size)
    return np.asarray(patches.sum(axis=1).sum(axis=-1) / patch_size**2)


def _in_patches(values: NDArray[np.float64], patch_size: int) -> NDArray[np.float64]:
    """``(gh, patch_size, gw, patch_size)``, a view."""
    h, w = values.shape
    return values.reshape(h // patch_size, patch_size, w // patch_size, patch_size)


def _merge(
    eigenvalues: NDArray[np.float64],
    luminance: NDArray[np.float64],
    structure_threshold: float,
    luminance_threshold: float,
    epsilon: float,
) -> NDArray[np.int64]:
    """Equation 8 on the 4-neighbour graph.  lambda_min <= lambda_max, so the denominator needs lambda_max only."""
    gh, gw = luminance.shape
    index = np.arange(gh * gw).reshape(gh, gw)
    starts, ends = [], []
    for first, second in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ):
        difference = np.linalg.norm(eigenvalues[first] - eigenvalues[second], axis=-1)
        scale = np.maximum(np.maximum(eigenvalues[first][..., 0], eigenvalues[second][..., 0]), epsilon)
        alike = difference / scale < structure_threshold
        alike &= np.abs(luminance[first] - luminance[second]) < luminance_threshold
        starts.append(index[first][alike])
        ends.append(index[second][alike])
    start, end = np.concatenate(starts), np.concatenate(ends)
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(gh * gw, gh * gw))
    _, labels = connected_components(graph, directed=False)
    return labels.reshape(gh, gw).astype(np.int64)
