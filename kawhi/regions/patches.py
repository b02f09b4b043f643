"""The image exactly as the model saw it, recovered from the processor's flattened patches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def unpatchify(
    pixel_values: NDArray[np.float32],
    grid: tuple[int, int, int],
    *,
    patch_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    merge: int = 2,
) -> NDArray[np.uint8]:
    """Inverse of the Qwen-VL image processors for one still image.

    Args:
        pixel_values: ``(gh * gw, 3 * temporal * patch_size ** 2)`` normalised patches in 2 x 2 merge order.
        grid: ``(1, gh, gw)`` in patches; a video (first entry above 1) is refused.
        patch_size: side of an unmerged patch, 14 or 16.
        mean, std: the processor's normalisation.

    Returns:
        ``uint8 (gh * patch_size, gw * patch_size, 3)``.

    Raises:
        ValueError: a video grid, or a shape that does not fit the grid.
    """
    frames, gh, gw = grid
    if frames != 1:
        raise ValueError(f"expected one still image, got a grid of {frames} temporal patches")
    if pixel_values.shape[0] != gh * gw or pixel_values.shape[1] % (3 * patch_size**2):
        raise ValueError(f"pixel_values {pixel_values.shape} do not fit the grid {grid} of {patch_size} px patches")
    x = pixel_values.reshape(gh // merge, gw // merge, merge, merge, 3, -1, patch_size, patch_size)
    x = x[:, :, :, :, :, 0].transpose(4, 0, 2, 5, 1, 3, 6).reshape(3, gh * patch_size, gw * patch_size)
    x = x.transpose(1, 2, 0) * np.asarray(std, np.float32) + np.asarray(mean, np.float32)
    return np.clip(np.rint(x * 255.0), 0, 255).astype(np.uint8)
