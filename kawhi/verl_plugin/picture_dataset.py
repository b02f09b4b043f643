"""verl's data set, whose rows show pictures: what the agent loop gives to vLLM, the actor and region selection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verl.utils.dataset.rl_dataset import RLHFDataset

from kawhi.base.pixels import pixel_limits
from kawhi.pictures.rgb import picture


class PictureDataset(RLHFDataset):
    """Makes every image a picture before verl looks at it.

    verl leaves a photograph as its sensor saw it, and vLLM, to which it hands the EXIF block, turns it: actor and
    rollout would see two images.

    ``min_pixels`` and ``max_pixels`` of verl's block ``data``, which verl itself does not read, bound the size of every
    image, as in EasyR1: qwen_vl_utils, which verl asks, scales it for actor and rollout alike.
    """

    def _build_messages(self, example: dict, key: str):
        images, limits = example.get(self.image_key) or [], pixel_limits(self.config)
        return super()._build_messages({**example, self.image_key: [_shown(image, limits) for image in images]}, key)


def _shown(image: Any, limits: Mapping[str, int]) -> Any:
    """An image of a row, decoded or not, as verl takes pictures; what else the row says of it stays."""
    if not isinstance(image, dict):
        return {**limits, "image": picture(image)} if limits else picture(image)
    other = {name: value for name, value in image.items() if name not in ("bytes", "path", "image")}
    return {**limits, **other, "image": picture(image.get("bytes") or image.get("image") or image["path"])}
