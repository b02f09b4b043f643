"""Section 3.2, equations 5-10, one patch and one pixel at a time, in Python's own floats."""

from __future__ import annotations

import math
import operator
import statistics
from dataclasses import dataclass

import numpy as np

# IEC 61966-2-1: the sRGB to XYZ matrix's luminance row, D65 white.
_LUMINANCE = (0.2126729, 0.7151522, 0.0721750)
_SOBEL = ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))


@dataclass(frozen=True)
class Regions:
    """The same fields as the package's ``RegionMap``."""

    labels: np.ndarray
    energy: list[float]
    is_key: list[bool]
    eigenvalues: np.ndarray
    luminance: np.ndarray
    threshold: float


def regions(
    rgb: np.ndarray,
    patch_size: int,
    *,
    structure_threshold: float = 0.5,
    luminance_threshold: float = 30.0,
    energy_scale: float = 0.1,
    sigma: float = 1.0,
    median_over: str = "components",
    smoothed: str = "luminance",
    epsilon: float = 1e-6,
) -> Regions:
    """Equations 5-10.  The Gaussian ends four standard deviations from its centre."""
    smooth, radius = cielab_lightness(rgb), round(4 * sigma)
    if sigma > 0 and smoothed == "luminance":
        smooth = gaussian_smooth(smooth, sigma, radius)
    gx, gy = gradient(smooth)
    products = [gx * gx, gy * gy, gx * gy]
    if sigma > 0 and smoothed == "responses":
        products = [gaussian_smooth(each, sigma, radius) for each in products]
    eigenvalues = structure_eigenvalues(*products, patch_size)
    luminance = patch_mean(smooth, patch_size)
    labels = components(eigenvalues, luminance, structure_threshold, luminance_threshold, epsilon)
    energy = energies(labels, eigenvalues)
    counted = energy if median_over == "components" else [energy[label] for row in labels for label in row]
    tau = energy_threshold(counted, energy_scale)
    return Regions(labels, energy, [e > tau for e in energy], eigenvalues, luminance, tau)


def cielab_lightness(rgb: np.ndarray) -> np.ndarray:
    return np.array([[_lightness(pixel) for pixel in row] for row in rgb.tolist()])


def _lightness(pixel: list[int]) -> float:
    luminance = 0.0
    for channel, share in zip(pixel, _LUMINANCE, strict=True):
        value = channel / 255
        luminance += share * (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
    # CIE 15: epsilon = 216 / 24389, kappa = 24389 / 27.
    return luminance * 24389 / 27 if luminance <= 216 / 24389 else 116 * luminance ** (1 / 3) - 16


def gaussian_smooth(values: np.ndarray, sigma: float, radius: int) -> np.ndarray:
    reach = range(-radius, radius + 1)
    kernel = [[math.exp(-(dx * dx + dy * dy) / (2 * sigma**2)) for dx in reach] for dy in reach]
    total = sum(map(sum, kernel))
    return _correlate(values, [[k / total for k in row] for row in kernel], mean=True)


def gradient(smooth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _correlate(smooth, _SOBEL), _correlate(smooth, list(zip(*_SOBEL, strict=True)))


def structure_eigenvalues(gxx: np.ndarray, gyy: np.ndarray, gxy: np.ndarray, patch_size: int) -> np.ndarray:
    """Equations 5-6."""
    rows, columns = gxx.shape[0] // patch_size, gxx.shape[1] // patch_size
    eigenvalues = np.zeros((rows, columns, 2))
    gxx, gyy, gxy = gxx.tolist(), gyy.tolist(), gxy.tolist()
    for i in range(rows):
        for j in range(columns):
            xx = yy = xy = 0.0
            for y in range(i * patch_size, (i + 1) * patch_size):
                for x in range(j * patch_size, (j + 1) * patch_size):
                    xx += gxx[y][x]
                    yy += gyy[y][x]
                    xy += gxy[y][x]
            low, high = np.linalg.eigvalsh(np.array([[xx, xy], [xy, yy]]) / patch_size**2)
            eigenvalues[i, j] = high, low
    return eigenvalues


def patch_mean(values: np.ndarray, patch_size: int) -> np.ndarray:
    rows, columns = values.shape[0] // patch_size, values.shape[1] // patch_size
    mean = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            total = 0.0
            for y in range(i * patch_size, (i + 1) * patch_size):
                for x in range(j * patch_size, (j + 1) * patch_size):
                    total += values[y, x]
            mean[i, j] = total / patch_size**2
    return mean


def alike(a, b, light_a, light_b, structure_threshold, luminance_threshold, epsilon) -> bool:
    """Equation 8."""
    frobenius = math.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)
    structure = frobenius / max(a[0], b[0], a[1], b[1], epsilon)
    return structure < structure_threshold and abs(light_a - light_b) < luminance_threshold


def components(eigenvalues, lightness, structure_threshold, luminance_threshold, epsilon) -> np.ndarray:
    """Union-find over 4-neighbours is a flood fill; components are numbered as a row-major scan meets them."""
    rows, columns = lightness.shape
    labels = -np.ones((rows, columns), dtype=np.int64)
    found = 0
    for i in range(rows):
        for j in range(columns):
            if labels[i, j] >= 0:
                continue
            labels[i, j] = found
            waiting = [(i, j)]
            while waiting:
                y, x = waiting.pop()
                for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                    if not (0 <= v < rows and 0 <= u < columns) or labels[v, u] >= 0:
                        continue
                    pair = eigenvalues[y, x], eigenvalues[v, u], lightness[y, x], lightness[v, u]
                    if alike(*pair, structure_threshold, luminance_threshold, epsilon):
                        labels[v, u] = found
                        waiting.append((v, u))
            found += 1
    return labels


def energies(labels: np.ndarray, eigenvalues: np.ndarray) -> list[float]:
    """Equation 9."""
    result = []
    for component in range(labels.max() + 1):
        traces = [float(sum(eigenvalues[i, j])) for i, j in zip(*np.where(labels == component), strict=True)]
        result.append(sum(traces) / len(traces))
    return result


def energy_threshold(energy: list[float], beta: float) -> float:
    """Equation 10."""
    return beta * statistics.median(energy)


def _correlate(values: np.ndarray, kernel, mean: bool = False) -> np.ndarray:
    """Rounds once per pixel, because rounding makes structure (of 1e-28) out of a blank page.

    Args:
        mean: the kernel's entries add up to 1, so equal pixels keep their value to the last bit.
    """
    height, width = values.shape
    reach = len(kernel) // 2
    weights = [weight for row in kernel for weight in row]
    columns = [_reflect(x, width) for x in range(-reach, width + reach)]
    padded = [[row[x] for x in columns] for row in values.tolist()]
    result = np.zeros((height, width))
    for y in range(height):
        rows = [padded[_reflect(v, height)] for v in range(y - reach, y + reach + 1)]
        for x in range(width):
            window = [pixel for row in rows for pixel in row[x : x + len(kernel)]]
            flat = mean and min(window) == max(window)
            result[y, x] = window[0] if flat else math.fsum(map(operator.mul, weights, window))
    return result


def _reflect(index: int, length: int) -> int:
    """Border without repeating the edge pixel: -1 is 1, ``length`` is ``length - 2``, and so on to and fro."""
    period = max(1, 2 * (length - 1))
    return min(index % period, -index % period)
