"""Qwen2.5-VL and Qwen3-VL, dense models of any size: one picture an image, its tokens row-major."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import apply_multimodal_rotary_pos_emb
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb

from kawhi.models.families.family import Projections, register
from kawhi.models.families.view import View
from kawhi.models.seen import seen_by_model


class QwenVL:
    """What both have in common: the image processor of Qwen2-VL."""

    def understands(self, processor: Any) -> bool:
        images = getattr(processor, "image_processor", processor)
        return hasattr(images, "merge_size") and hasattr(images, "temporal_patch_size")

    def views(self, image: Image.Image, processor: Any) -> list[View]:
        images = getattr(processor, "image_processor", processor)
        picture, side = seen_by_model(image, images), images.patch_size * images.merge_size
        return [View(picture, side, np.arange(picture.shape[0] // side * (picture.shape[1] // side)))]


@register("qwen2_5_vl")
class Qwen25VL(QwenVL):
    """mRoPE whose sections follow each other, and are mixed by the rotary function itself."""

    def projections(self, attention: Any) -> Projections:
        section = attention.config.rope_parameters["mrope_section"]
        rotate = partial(apply_multimodal_rotary_pos_emb, mrope_section=section)
        return Projections(attention.q_proj, attention.k_proj, rotate)


@register("qwen3_vl")
class Qwen3VL(QwenVL):
    """Heads that are normalised before the rotary embedding."""

    def projections(self, attention: Any) -> Projections:
        return Projections(attention.q_norm, attention.k_norm, apply_rotary_pos_emb)
