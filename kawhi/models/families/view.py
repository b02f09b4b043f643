"""A picture as a model sees it: its pixels, and where on it the visual tokens are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class View:
    """One picture that a processor makes of an image, with the visual tokens that a model makes of the picture.

    Attributes:
        picture: ``uint8 (H, W, 3)``, resized as the model is given it.
        token_pixels: side in pixels of the square that one visual token covers.
        order: ``(N,)`` int64, for each square, row-major, its place among the view's tokens as the prompt has them.
    """

    picture: NDArray[np.uint8]
    token_pixels: int
    order: NDArray[np.int64]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of visual tokens."""
        height, width = self.picture.shape[:2]
        return height // self.token_pixels, width // self.token_pixels
