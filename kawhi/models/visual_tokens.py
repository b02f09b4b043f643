"""What a model sees of images, and which of its visual tokens matter: the way from a picture to alpha's keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kawhi.models.families import View, family_of_processor
from kawhi.regions.seeds import stable_seed
from kawhi.regions.selectors import Strategy, select_tokens
from kawhi.regions.sguf import sguf


def views(images: Image.Image | Sequence[Image.Image], processor: Any) -> list[View]:
    """The pictures that a model is given for images, resized as its processor does, and their grids of visual tokens.

    Args:
        images: of one prompt, in its order.
        processor: of a model of a known family.

    Returns:
        One view of each image for Qwen2.5-VL and Qwen3-VL; InternVL's tiles and its small picture of the whole are two.

    Raises:
        ValueError: a processor of no known family.
    """
    family = family_of_processor(processor)
    pictures = [images] if isinstance(images, Image.Image) else images
    return [view for image in pictures for view in family.views(image, processor)]


def select_visual_tokens(
    images: Image.Image | Sequence[Image.Image],
    processor: Any,
    strategy: Strategy = "sguf",
    *,
    skip_ratio: float = 0.7,
    seed: int = 0,
    **thresholds: Any,
) -> NDArray[np.int64]:
    """The visual tokens of a prompt that its responses are compared with: equations 5 to 11.

    Args:
        images, processor: as in :func:`kawhi.views`.
        strategy, skip_ratio: as in :func:`kawhi.select_tokens`.
        seed: of the sampling; all responses of a prompt should share one.  ``kawhi.stable_seed(0, index, step)`` is
            that of a training through verl.
        thresholds: options of :func:`kawhi.sguf`, by default the paper's.

    Returns:
        Sorted places among the visual tokens of the prompt, those of the first image first.

    Raises:
        ValueError: as there.
    """
    chosen, first = [np.zeros(0, dtype=np.int64)], 0
    for number, view in enumerate(views(images, processor)):
        regions = sguf(view.picture, view.token_pixels, **thresholds)
        cells = select_tokens(regions, strategy, skip_ratio, stable_seed(seed, number))
        chosen.append(np.sort(view.order[cells]) + first)
        first += view.order.size
    return np.concatenate(chosen)
