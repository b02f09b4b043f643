"""The pixels of an image that reach a Qwen-VL model: what region selection and pictures work on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from kawhi.pictures.rgb import picture
from kawhi.regions.patches import unpatchify


def seen_by_model(image: Image.Image, processor) -> NDArray[np.uint8]:
    """The image itself, or the processor's output where it would resize it once more.

    Args:
        processor: an image processor of the Qwen-VL families.

    Returns:
        ``uint8 (H, W, 3)``, sides multiples of a merged patch.
    """
    rgb = picture(image)
    factor = processor.patch_size * processor.merge_size
    limits = processor.size["shortest_edge"], processor.size["longest_edge"]
    if smart_resize(rgb.height, rgb.width, factor, *limits) == (rgb.height, rgb.width):
        return np.asarray(rgb)
    features = processor(images=[rgb], return_tensors="np")
    frames, rows, columns = (int(n) for n in np.asarray(features["image_grid_thw"])[0])
    return unpatchify(
        features["pixel_values"],
        (frames, rows, columns),
        patch_size=processor.patch_size,
        mean=processor.image_mean,
        std=processor.image_std,
        merge=processor.merge_size,
    )
