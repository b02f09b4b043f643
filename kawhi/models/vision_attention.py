"""How much attention each visual token receives in the vision encoder: what VisionZip ranks tokens by (section 4.4).

Caught while the forward pass runs anyway, in the last block whose attention spans the whole image: in Qwen2.5-VL most
blocks attend within windows, and attention received inside a window cannot rank tokens of different windows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import apply_rotary_pos_emb_vision
from transformers.vision_utils import get_vision_window_index

from kawhi.models.capture import Capture, unwrapped

_ELEMENTS_AT_ONCE = 1 << 24  # of the attention matrix, of which only column means are kept


class VisionAttentionCapture(Capture):
    """Records one block of a Qwen2.5-VL or Qwen3-VL vision encoder while armed.

    Use: ``arm()``, run the model without gradients, ``take()``.
    """

    def __init__(self, model: PreTrainedModel | nn.Module):
        super().__init__()
        self._visual = unwrapped(model).model.visual
        spanning = getattr(self._visual, "fullatt_block_indexes", range(len(self._visual.blocks)))
        self._attention = self._visual.blocks[max(spanning)].attn
        self._visual.register_forward_pre_hook(self._see_grid, with_kwargs=True)
        self.keep_inputs(self._attention, positions="position_embeddings", chunks="cu_seqlens")
        self.keep_output("qkv", self._attention.qkv)

    def arm(self) -> None:
        """Keeps the next forward pass, which must see every image (``kawhi.verl_plugin.cpu.vision_once`` asks)."""
        super().arm()
        self._visual.watched = True

    def disarm(self) -> None:
        super().disarm()
        self._visual.watched = False

    @torch.no_grad()
    def take(self) -> list[Tensor]:
        """The attention received by each visual token of each image of the pass.

        Returns:
            One ``(N,)`` float32 tensor per image, row-major on its token grid: softmax(q k / sqrt(d)) averaged over
            heads, over all patches of the image as queries, and over the patches that merge into the token.

        Raises:
            RuntimeError: the capture was not armed, or no image was seen since.
        """
        missing = {"grid", "positions", "chunks", "qkv"} - self.seen.keys()
        if missing:
            raise RuntimeError(f"no {', '.join(sorted(missing))} of the vision encoder were captured")
        qkv, heads = self.seen["qkv"], self._attention.num_heads
        query, key, _ = qkv.reshape(len(qkv), 3, heads, -1).unbind(1)
        query, key = apply_rotary_pos_emb_vision(query.float(), key.float(), *self.seen["positions"])
        lengths = self.seen["chunks"].diff().tolist()
        received = torch.cat(
            [
                attention_received(q, k, self._attention.scaling)
                for q, k in zip(query.split(lengths), key.split(lengths), strict=True)
            ]
        )
        grid, merge = self.seen["grid"], self._visual.spatial_merge_size
        tokens = received.reshape(-1, merge**2).mean(dim=1)
        if hasattr(self._visual, "window_size"):  # the blocks see the tokens window by window
            order, _ = get_vision_window_index(
                grid,
                spatial_merge_size=merge,
                window_size=self._visual.window_size,
                patch_size=self._visual.patch_size,
            )
            tokens = torch.empty_like(tokens).index_copy_(0, order.to(tokens.device), tokens)
        self.disarm()
        return list(tokens.split((grid.prod(dim=1) // merge**2).tolist()))

    def _see_grid(self, module, args, kwargs) -> None:
        if self.armed:
            self.seen["grid"] = kwargs["grid_thw"] if "grid_thw" in kwargs else args[1]


def attention_received(query: Tensor, key: Tensor, scaling: float) -> Tensor:
    """Column means of softmax(q k^T scaling), averaged over heads.

    Args:
        query, key: ``(n, H, d)`` float32 of one image.

    Returns:
        ``(n,)``, which sums to 1.
    """
    n, heads, _ = query.shape
    at_once = max(1, _ELEMENTS_AT_ONCE // (heads * n))
    query, key = query.transpose(0, 1), key.transpose(0, 1)
    total = query.new_zeros(n)
    for start in range(0, n, at_once):
        scores = query[:, start : start + at_once] @ key.transpose(1, 2) * scaling
        total += scores.softmax(dim=-1).sum(dim=(0, 1))
    return total / (heads * n)
