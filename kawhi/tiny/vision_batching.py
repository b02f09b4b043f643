"""Runs the vision encoder's attention over equal-length chunks as one batched call.

transformers 5.9 loops over images (and, in Qwen2.5-VL, over windows) in Python, one small attention call each.  In the
tiny world all images of a batch have one size, so the chunks have one length and the loop can be a batch dimension; the
numbers agree to float rounding (``tests/tiny/test_batching.py``).  Used by the warm start and by the evaluation.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen2_5
from transformers.models.qwen3_vl import modeling_qwen3_vl as qwen3


def batch_vision_attention(model: PreTrainedModel) -> None:
    """Replaces ``forward`` of every vision attention module of this one model instance."""
    for block in model.model.visual.blocks:
        attention = block.attn
        rotate = (qwen3 if isinstance(attention, qwen3.Qwen3VLVisionAttention) else qwen2_5).apply_rotary_pos_emb_vision
        attention.forward = _batched_forward(attention, attention.forward, rotate)


def _batched_forward(attention, looped_forward, rotate):
    def forward(hidden_states, cu_seqlens, rotary_pos_emb=None, position_embeddings=None, **kwargs):
        chunks, total = cu_seqlens.numel() - 1, hidden_states.shape[0]
        length = total // chunks
        if length * chunks != total or not bool((cu_seqlens.diff() == length).all()):
            return looped_forward(
                hidden_states,
                cu_seqlens=cu_seqlens,
                rotary_pos_emb=rotary_pos_emb,
                position_embeddings=position_embeddings,
                **kwargs,
            )
        qkv = attention.qkv(hidden_states).reshape(total, 3, attention.num_heads, -1)
        query, key, value = qkv.unbind(1)
        query, key = rotate(query, key, *position_embeddings)
        query, key, value = (
            x.reshape(chunks, length, attention.num_heads, -1).transpose(1, 2) for x in (query, key, value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, scale=attention.scaling)
        return attention.proj(mixed.transpose(1, 2).reshape(total, -1))

    return forward


def window_order(model: PreTrainedModel, grid: torch.Tensor) -> torch.Tensor | None:
    """Row ``i`` of the merger's output belongs to visual token ``order[i]`` of the row-major grid.

    Args:
        grid: ``(B, 3)`` image grids in patches.

    Returns:
        ``(B * tokens,)`` or ``None`` for families without window attention, whose merger is already row-major.
    """
    visual = model.model.visual
    if not hasattr(visual, "window_size"):
        return None
    from transformers.vision_utils import get_vision_window_index

    return get_vision_window_index(
        grid,
        spatial_merge_size=visual.spatial_merge_size,
        window_size=visual.window_size,
        patch_size=visual.patch_size,
    )[0]
