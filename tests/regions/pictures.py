"""Images for the tests of the regions."""

from __future__ import annotations

import numpy as np


def blocks(seed: int, rows: int, columns: int, patch_size: int) -> np.ndarray:
    """Flat, striped and noisy patches side by side, so that some merge and some do not."""
    rng = np.random.default_rng(seed)
    image = np.zeros((rows * patch_size, columns * patch_size, 3), np.uint8)
    for i in range(rows):
        for j in range(columns):
            patch = np.full((patch_size, patch_size, 3), rng.choice([0, 90, 240, 255]), np.int64)
            kind = rng.integers(4)
            if kind == 1:
                patch[:: rng.integers(2, 4)] = rng.integers(0, 256, 3)
            elif kind == 2:
                patch[:, :: rng.integers(2, 4)] = rng.integers(0, 256, 3)
            elif kind == 3:
                patch += rng.integers(-60, 60, patch.shape)
            where = (
                slice(i * patch_size, (i + 1) * patch_size),
                slice(j * patch_size, (j + 1) * patch_size),
            )
            image[where] = np.clip(patch, 0, 255)
    return image
