"""Corrections of verl 0.9.1 from outside.  Each says what is wrong, and a test fails when it is no longer needed."""

from __future__ import annotations

from typing import Any

import torch
import verl.models.transformers.qwen2_vl as qwen2_vl
import verl.utils.tensordict_utils as tu
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLAttention

from kawhi.base.attention_choice import FLASH_2

STOCK_POSITION_IDS = tu.maybe_fix_3d_position_ids
STOCK_INPUT_EMBEDS = qwen2_vl._get_input_embeds
STOCK_ATTENTION = qwen2_vl.qwen2_vl_attn_forward
OWN_ATTENTION = Qwen2_5_VLAttention.forward
"""transformers' own, which verl replaces where batches are packed."""


def split_position_ids(data) -> None:
    """Replacement of ``maybe_fix_3d_position_ids``.

    A jagged ``(B, 4, S)`` mRoPE field whose sequences all have one length comes out of torch with the 4 rows as its
    ragged dimension; verl only relabels that dimension and the next ``unbind`` fails with "Expected cond to be True".
    It happens when all responses of a rank hit the length limit.  (verl 0.9.1, ``tests/verl_plugin/test_fixes.py``)
    """
    positions = data["position_ids"] if "position_ids" in data.keys() else None
    if positions is None or positions.dim() != 3 or not positions.is_nested:
        return
    values, offsets = positions.values(), positions.offsets()
    total = int(offsets[-1])
    if values.shape[0] == total and values.shape[1] != total:
        rows = list(values.split(offsets.diff().tolist(), 0))
        data["position_ids"] = tu.nested_tensor_from_tensor_list(rows, ragged_idx=2)
    else:
        STOCK_POSITION_IDS(data)


def text_only_input_embeds(model, input_ids, attention_mask=None, pixel_values=None, pixel_values_videos=None, *grids):
    """Replacement of Qwen2.5-VL's ``_get_input_embeds`` for a batch in which no prompt has an image.

    verl then runs the vision encoder on a dummy image, so that all ranks gather its weights, and takes the mean of what
    comes back; transformers 5 returns an object that has none.  (verl 0.9.1, ``tests/verl_plugin/test_fixes.py``)
    """
    if pixel_values is not None or pixel_values_videos is not None:
        return STOCK_INPUT_EMBEDS(model, input_ids, attention_mask, pixel_values, pixel_values_videos, *grids)
    embeds = model.get_input_embeddings()(input_ids)
    vision = model.config.vision_config
    width = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    patches = torch.zeros((16, width), dtype=embeds.dtype, device=embeds.device)
    grid = torch.tensor([[1, 4, 4]], device=embeds.device)
    features, _ = qwen2_vl.unpack_visual_output(model.visual(patches, grid_thw=grid))
    return embeds + 0.0 * features.mean(), attention_mask


def packed_attention(self: Any, *args: Any, **kwargs: Any):
    """Replacement of ``qwen2_vl_attn_forward``, which verl puts in the place of Qwen2.5-VL's attention.

    verl's is hard-wired to the package flash-attn 2, whatever ``attn_implementation`` says.  With any other attention
    transformers' own is right: it finds the sequences' borders in the text positions that verl passes on.  (verl 0.9.1,
    ``tests/verl_plugin/test_fixes.py``)

    Raises:
        ValueError: another attention with sequences that GPUs share, which transformers knows nothing of.
    """
    attention = self.config._attn_implementation
    if attention == FLASH_2:
        return STOCK_ATTENTION(self, *args, **kwargs)
    if qwen2_vl.get_ulysses_sequence_parallel_world_size() > 1:
        raise ValueError(
            f"GPUs share a sequence under {FLASH_2} alone, not {attention}: ulysses_sequence_parallel_size=1"
        )
    return OWN_ATTENTION(self, *args, **kwargs)


def apply() -> None:
    """Installs the corrections; needs the worker modules to be importable, so call it in the actor's process only."""
    import verl.workers.engine.base as engine_base
    import verl.workers.engine_workers as engine_workers

    for module in (tu, engine_base, engine_workers):
        module.maybe_fix_3d_position_ids = split_position_ids
    qwen2_vl._get_input_embeds = text_only_input_embeds
    qwen2_vl.qwen2_vl_attn_forward = packed_attention
