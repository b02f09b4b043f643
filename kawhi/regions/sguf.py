"""Structure-Guided Union-Find: which patches of an image belong together, and which groups carry structure.

Paper: section 3.2, equations 5-10, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# sRGB (IEC 61966-2-1) decoding of all 256 byte values, and the luminance row of the sRGB -> XYZ (D65) matrix.
_BYTES = np.arange(256) / 255.0
_SRGB_TO_LINEAR = np.where(_BYTES <= 0.04045, _BYTES / 12.92, ((_BYTES + 0.055) / 1.055) ** 2.4)
_LUMINANCE_ROW = np.array([0.2126729, 0.7151522, 0.0721750])


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


def sguf(
    image: Image.Image | NDArray[np.uint8],
    patch_size: int,
    *,
    structure_threshold: float = 0.5,
    luminance_threshold: float = 30.0,
    energy_scale: float = 0.1,
    sigma: float = 1.0,
    epsilon: float = 1e-6,
) -> RegionMap:
    """Groups the patches of an image and finds the groups that carry structure.

    Args:
        image: PIL image or ``uint8 (H, W, 3)`` in sRGB; both sides multiples of ``patch_size``.
        patch_size: side in pixels of the area one visual token covers: 28 for Qwen2.5-VL, 32 for Qwen3-VL.
        structure_threshold: delta_s of equation 8.
        luminance_threshold: delta_l of equation 8, in units of L (0-100).
        energy_scale: beta of equation 10.
        sigma: standard deviation in pixels of the Gaussian applied to L.
        epsilon: floor of equation 8's denominator, in units of eigenvalues; two flat patches have distance 0.

    Raises:
        ValueError: the image is no 8-bit RGB image, or a side is no multiple of ``patch_size``.
    """
    smooth = _smoothed_luminance(_as_rgb(image, patch_size), sigma)
    eigenvalues = structure_eigenvalues(smooth, patch_size)
    luminance = _patch_mean(smooth, patch_size)
    labels = _merge(eigenvalues, luminance, structure_threshold, luminance_threshold, epsilon)
    trace = eigenvalues.sum(axis=-1)
    energy = np.bincount(labels.ravel(), weights=trace.ravel()) / np.bincount(labels.ravel())
    threshold = float(energy_scale * np.median(energy))
    return RegionMap(labels, energy, energy > threshold, eigenvalues, luminance, threshold)


def luminance(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIELab L in [0, 100] of an sRGB image ``(H, W, 3)``, D65 white."""
    y = _SRGB_TO_LINEAR[rgb] @ _LUMINANCE_ROW
    threshold = (6 / 29) ** 3
    f = np.where(y > threshold, np.cbrt(y), y / (3 * (6 / 29) ** 2) + 4 / 29)
    return 116 * f - 16


def structure_eigenvalues(smooth: NDArray[np.float64], patch_size: int) -> NDArray[np.float64]:
    """Eigenvalues of every patch's mean gradient outer product, equations 5-6.

    Args:
        smooth: ``(H, W)`` smoothed luminance.

    Returns:
        ``(H / patch_size, W / patch_size, 2)`` as (lambda_max, lambda_min), both >= 0.
    """
    gx = cv2.Sobel(smooth, cv2.CV_64F, 1, 0, ksize=3, borderType=cv2.BORDER_REFLECT_101)
    gy = cv2.Sobel(smooth, cv2.CV_64F, 0, 1, ksize=3, borderType=cv2.BORDER_REFLECT_101)
    xx, yy, xy = (_patch_mean(np.asarray(product), patch_size) for product in (gx * gx, gy * gy, gx * gy))
    # Closed form for a symmetric 2 x 2 matrix; rounding can push a zero lambda_min just below zero.
    centre = (xx + yy) / 2
    radius = np.hypot((xx - yy) / 2, xy)
    return np.stack([centre + radius, np.maximum(centre - radius, 0.0)], axis=-1)


def _as_rgb(image: Image.Image | NDArray[np.uint8], patch_size: int) -> NDArray[np.uint8]:
    rgb = np.asarray(image.convert("RGB")) if isinstance(image, Image.Image) else np.asarray(image)
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"expected a PIL image or uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
    for side, name in zip(rgb.shape[:2], ("height", "width"), strict=True):
        if side == 0 or side % patch_size:
            raise ValueError(f"the image's {name} of {side} px is not a positive multiple of patch_size={patch_size}")
    return rgb


def _smoothed_luminance(rgb: NDArray[np.uint8], sigma: float) -> NDArray[np.float64]:
    # ksize (0, 0): OpenCV takes 8 sigma + 1 taps for floating-point images, so nothing visible is cut off.
    blurred = cv2.GaussianBlur(luminance(rgb), (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float64)


def _patch_mean(values: NDArray[np.float64], patch_size: int) -> NDArray[np.float64]:
    h, w = values.shape
    return values.reshape(h // patch_size, patch_size, w // patch_size, patch_size).mean(axis=(1, 3))


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
