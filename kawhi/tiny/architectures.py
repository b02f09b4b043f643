"""Tiny Qwen2.5-VL and Qwen3-VL: the real classes of transformers at one to two million parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from transformers import (
    PreTrainedModel,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

Family = Literal["qwen2_5_vl", "qwen3_vl"]

# Heads of 32: vLLM 0.27.1 has no CPU attention kernel for 16.
HIDDEN, LAYERS, QUERY_HEADS, KEY_HEADS = 128, 4, 4, 2
VISION_HIDDEN, VISION_HEADS = 128, 4


@dataclass(frozen=True)
class FamilySpec:
    """What differs between the two families for the tiny world.

    Attributes:
        patch_size: side of a vision-encoder patch in pixels; a merged visual token covers ``2 * patch_size``.
        image_size: side of a rendered image; 6 x 6 visual tokens in both families.
        image_mean, image_std: normalisation of the family's image processor.
    """

    patch_size: int
    image_size: int
    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]


FAMILIES: dict[Family, FamilySpec] = {
    "qwen2_5_vl": FamilySpec(14, 168, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "qwen3_vl": FamilySpec(16, 192, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


def build_model(family: Family, tokenizer: Qwen2Tokenizer, seed: int = 0) -> PreTrainedModel:
    """A randomly initialised model in float32; two query heads share each key head (GQA)."""
    torch.manual_seed(seed)
    token = tokenizer.convert_tokens_to_ids
    spec = FAMILIES[family]
    head_dim = HIDDEN // QUERY_HEADS
    ids = dict(
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    text: dict = dict(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=384,
        num_hidden_layers=LAYERS,
        num_attention_heads=QUERY_HEADS,
        num_key_value_heads=KEY_HEADS,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        # transformers' default of 0.02 is made for widths of thousands; at 128 it leaves the logits almost flat.
        initializer_range=0.05,
    )
    vision: dict = dict(
        hidden_size=VISION_HIDDEN,
        num_heads=VISION_HEADS,
        patch_size=spec.patch_size,
        spatial_merge_size=2,
        temporal_patch_size=2,
        out_hidden_size=HIDDEN,
        initializer_range=0.05,
    )
    section = [head_dim // 2 - 2 * (3 * head_dim // 16), 3 * head_dim // 16, 3 * head_dim // 16]
    rope: dict = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": section}
    if family == "qwen2_5_vl":
        vision |= dict(depth=3, intermediate_size=256, window_size=84, fullatt_block_indexes=[1])
        config = Qwen2_5_VLConfig(text_config=text | {"rope_parameters": rope}, vision_config=vision, **ids)
        model: PreTrainedModel = Qwen2_5_VLForConditionalGeneration(config)
    else:
        # Two vision blocks, the first feeding DeepStack: a third one with its merger would pass two million parameters.
        vision |= dict(depth=2, intermediate_size=256, num_position_embeddings=144, deepstack_visual_indexes=[0])
        text |= {"head_dim": head_dim, "rope_parameters": rope | {"mrope_interleaved": True}}
        config = Qwen3VLConfig(text_config=text, vision_config=vision, **ids)
        model = Qwen3VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def build_processor(family: Family, tokenizer: Qwen2Tokenizer) -> ProcessorMixin:
    """The family's own processor; its pixel limits are the tiny world's image size, so it never resizes."""
    spec = FAMILIES[family]
    area = spec.image_size**2
    images = Qwen2VLImageProcessor(
        patch_size=spec.patch_size,
        size={"shortest_edge": area, "longest_edge": area},
        image_mean=list(spec.image_mean),
        image_std=list(spec.image_std),
    )
    template = tokenizer.chat_template
    if family == "qwen2_5_vl":
        video = Qwen2VLVideoProcessor()
        return Qwen2_5_VLProcessor(images, tokenizer, video_processor=video, chat_template=template)
    return Qwen3VLProcessor(images, tokenizer, video_processor=Qwen3VLVideoProcessor(), chat_template=template)
