"""Section 3.2, equations 5-11, one patch and one pixel at a time."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import numpy as np

# IEC 61966-2-1: the sRGB to XYZ matrix's luminance row, D65 white.
_LUMINANCE = (0.2126729, 0.7151522, 0.0721750)
_SOBEL = ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))


def cielab_lightness(rgb: np.ndarray) -> np.ndarray:
    height, width, _ = rgb.shape
    lightness = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            luminance = 0.0
            for channel, share in zip(rgb[y, x], _LUMINANCE, strict=True):
                value = int(channel) / 255
                linear = value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
                luminance += share * linear
            # CIE 15: epsilon = 216 / 24389, kappa = 24389 / 27.
            small = luminance <= 216 / 24389
            lightness[y, x] = luminance * 24389 / 27 if small else 116 * luminance ** (1 / 3) - 16
    return lightness


def gaussian_smooth(values: np.ndarray, sigma: float, radius: int) -> np.ndarray:
    kernel = np.array(
        [
            [math.exp(-(dx * dx + dy * dy) / (2 * sigma**2)) for dx in range(-radius, radius + 1)]
            for dy in range(-radius, radius + 1)
        ]
    )
    return _correlate(values, kernel / kernel.sum())


def gradient(smooth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kernel = np.array(_SOBEL, dtype=np.float64)
    return _correlate(smooth, kernel), _correlate(smooth, kernel.T)


def structure_eigenvalues(gx: np.ndarray, gy: np.ndarray, patch_size: int) -> np.ndarray:
    """Equations 5-6."""
    rows, columns = gx.shape[0] // patch_size, gx.shape[1] // patch_size
    eigenvalues = np.zeros((rows, columns, 2))
    for i in range(rows):
        for j in range(columns):
            tensor = np.zeros((2, 2))
            for y in range(i * patch_size, (i + 1) * patch_size):
                for x in range(j * patch_size, (j + 1) * patch_size):
                    nabla = np.array([gx[y, x], gy[y, x]])
                    tensor += np.outer(nabla, nabla)
            low, high = np.linalg.eigvalsh(tensor / patch_size**2)
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


def kept_tokens(tokens: int, skip_ratio: str) -> int:
    """Equation 11's sample size, rounded half up, in exact arithmetic; the ratio is a decimal string."""
    return math.floor((1 - Fraction(skip_ratio)) * tokens + Fraction(1, 2))


def _correlate(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    height, width = values.shape
    reach = len(kernel) // 2
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    pixel = values[_reflect(y + dy, height), _reflect(x + dx, width)]
                    result[y, x] += kernel[dy + reach, dx + reach] * pixel
    return result


def _reflect(index: int, length: int) -> int:
    """Border without repeating the edge pixel: -1 is 1, ``length`` is ``length - 2``."""
    index = abs(index)
    return index if index < length else 2 * (length - 1) - index
