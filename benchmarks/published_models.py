"""Qwen2.5-VL-7B and Qwen3-VL-4B with their published dimensions and random weights, on which time does not depend."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig, Qwen3VLConfig

MERGE = 2  # patches per side of a visual token, in both families


@dataclass(frozen=True)
class Family:
    """A published model's dimensions.

    Attributes:
        name: of the published model.
        config: its class in transformers.
        text, vision: their configuration.
        marked_blocks: the key in ``vision`` that lists blocks by index, which must exist at a reduced depth, too.
        heads: the paper's vision-critical heads (appendix A).
    """

    name: str
    config: Any
    text: dict[str, Any]
    vision: dict[str, Any]
    marked_blocks: str
    heads: tuple[int, ...]


def _rope(theta: float, section: list[int], **more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": theta, "mrope_section": section, **more}


# config.json of Qwen/Qwen2.5-VL-7B-Instruct and Qwen/Qwen3-VL-4B-Instruct.
FAMILIES = {
    "qwen2_5_vl": Family(
        name="Qwen2.5-VL-7B",
        config=Qwen2_5_VLConfig,
        text=dict(
            hidden_size=3584,
            intermediate_size=18944,
            num_hidden_layers=28,
            num_attention_heads=28,
            num_key_value_heads=4,
            vocab_size=152064,
            rms_norm_eps=1e-6,
            rope_parameters=_rope(1e6, [16, 24, 24]),
        ),
        vision=dict(
            depth=32,
            hidden_size=1280,
            num_heads=16,
            intermediate_size=3420,
            out_hidden_size=3584,
            patch_size=14,
            window_size=112,
            fullatt_block_indexes=[7, 15, 23, 31],
        ),
        marked_blocks="fullatt_block_indexes",
        heads=(0, 1, 3, 22, 23, 24, 25, 26, 27),
    ),
    "qwen3_vl": Family(
        name="Qwen3-VL-4B",
        config=Qwen3VLConfig,
        text=dict(
            hidden_size=2560,
            intermediate_size=9728,
            num_hidden_layers=36,
            num_attention_heads=32,
            num_key_value_heads=8,
            head_dim=128,
            vocab_size=151936,
            rms_norm_eps=1e-6,
            rope_parameters=_rope(5e6, [24, 20, 20], mrope_interleaved=True),
        ),
        vision=dict(
            depth=24,
            hidden_size=1024,
            num_heads=16,
            intermediate_size=4096,
            out_hidden_size=2560,
            patch_size=16,
            num_position_embeddings=2304,
            deepstack_visual_indexes=[5, 11, 17],
        ),
        marked_blocks="deepstack_visual_indexes",
        heads=(2, 3, 4, 12, 13, 19, 25, 27),
    ),
}


def build(family: Family, depth: int, device: str, dtype: torch.dtype = torch.bfloat16, shared: bool = False) -> Any:
    """The model with random weights and ``depth`` decoder layers; its vision encoder shrinks in proportion.

    ``shared`` layers have one layer's weights: a full model's work in a fraction of its memory.  Products of matrices
    with thousands of rows are bound by arithmetic, not by where the weights come from.
    """
    vision = dict(family.vision, spatial_merge_size=MERGE, temporal_patch_size=2)
    blocks = max(1, round(vision["depth"] * depth / family.text["num_hidden_layers"]))
    marked = [block for block in vision[family.marked_blocks] if block < blocks] or [blocks - 1]
    last = family.text["vocab_size"] - 1
    config = family.config(
        text_config=dict(family.text, num_hidden_layers=1 if shared else depth),
        vision_config=vision | {"depth": 1 if shared else blocks, family.marked_blocks: marked},
        image_token_id=last,
        video_token_id=last - 1,
        vision_start_token_id=last - 2,
        vision_end_token_id=last - 3,
        tie_word_embeddings=family.config is Qwen3VLConfig,
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(config, dtype=dtype, attn_implementation="sdpa").eval()
    if shared:
        language, encoder = model.model.language_model, model.model.visual
        # The layer that is captured stays one of its own: hooks on shared ones would see every layer.
        own = copy.deepcopy(language.layers[0])
        language.layers = torch.nn.ModuleList([*[language.layers[0]] * (depth - 1), own])
        language.config.layer_types = ["full_attention"] * depth
        encoder.blocks = torch.nn.ModuleList([encoder.blocks[0]] * blocks)
    return model
