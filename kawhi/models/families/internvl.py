"""InternVL2.5, 3 and 3.5 as transformers has them (``…-hf``), on a Qwen2 or Qwen3: an image in tiles.

An image of more than one tile comes as its tiles and then once more, small, so it has two views.  The tokens of a tile
follow each other row by row, and so do the tiles.
"""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas
from transformers.models.qwen2.modeling_qwen2 import apply_rotary_pos_emb

from kawhi.models.families.family import Projections, register
from kawhi.models.families.view import View
from kawhi.pictures.rgb import picture

TEXT = ("qwen2", "qwen3")
"""Language models that are read: one rotary function, with and without normalised heads."""


@register("internvl")
class InternVL:
    """One rotary position for each token, as in a model of text."""

    def projections(self, attention: Any) -> Projections:
        """
        Raises:
            ValueError: another language model than those of :data:`TEXT`.
        """
        kind = attention.config.model_type
        if kind not in TEXT:
            raise ValueError(f"InternVL on a language model {kind} cannot be read: choose one on {' or '.join(TEXT)}")
        if kind == "qwen3":
            return Projections(attention.q_norm, attention.k_norm, apply_rotary_pos_emb)
        return Projections(attention.q_proj, attention.k_proj, apply_rotary_pos_emb)

    def understands(self, processor: Any) -> bool:
        return hasattr(processor, "image_seq_length") and hasattr(
            getattr(processor, "image_processor", None), "crop_to_patches"
        )

    def views(self, image: Image.Image, processor: Any) -> list[View]:
        rgb, side = picture(image), isqrt(processor.image_seq_length)
        given = processor(images=[rgb], text=[processor.image_token], return_tensors="np")["pixel_values"]
        images = processor.image_processor
        tiles = _pixels(given, images)
        pixels = tiles.shape[1] // side
        if len(tiles) == 1:
            return [View(tiles[0], pixels, np.arange(side**2))]
        *parts, small = tiles
        size = images.size["height"], images.size["width"]
        columns, rows = get_optimal_tiled_canvas((rgb.height, rgb.width), size, images.min_patches, images.max_patches)
        whole = np.stack(parts).reshape(rows, columns, *small.shape).swapaxes(1, 2)
        places = np.arange(rows * columns * side**2).reshape(rows, columns, side, side).swapaxes(1, 2)
        return [
            View(whole.reshape(rows * small.shape[0], columns * small.shape[1], 3), pixels, places.ravel()),
            View(small, pixels, np.arange(side**2)),
        ]


def _pixels(given: NDArray[np.float32], images: Any) -> NDArray[np.uint8]:
    """``(n, H, W, 3)`` of normalised ``(n, 3, H, W)``."""
    mean, std = (np.asarray(each, np.float32) for each in (images.image_mean, images.image_std))
    return np.clip(np.rint((given.transpose(0, 2, 3, 1) * std + mean) * 255.0), 0, 255).astype(np.uint8)
