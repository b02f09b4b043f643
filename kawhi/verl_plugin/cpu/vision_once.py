"""The vision encoder sees each image of a log-prob pass once, and not once for each response to it.

verl 0.9.1 gives every row of a batch its own copy of the pixels.  Without gradients the encoder's output for an image
is the same in every batch, to the bit, so it is kept.  A policy update, which sums gradients over the copies, is left
as it is.  (``tests/verl_plugin/test_vision_once.py``)
"""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict
from typing import Any

import torch
import torch.distributed
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures, Qwen3VLVisionModel

IMAGES_KEPT = 256


def encode_images_once(encoder: Any) -> None:
    """Makes every encoder of this class remember what it made of images, until it is run with gradients.

    Its weights change after that, and at no other time.  With several ranks nothing is kept: each must run the encoder
    as often as the others, because FSDP gathers its weights from all of them.  Nor is anything kept while the encoder
    has a true attribute ``watched``: whoever looks into it wants to see every image.

    Args:
        encoder: vision encoder class of transformers; changed in place.
    """
    original = encoder.forward

    @functools.wraps(original)
    def forward(self, hidden_states: Tensor, grid_thw: Tensor, **kwargs: Any):
        kept: OrderedDict[bytes, tuple[Tensor, ...]] = vars(self).setdefault("kawhi_kept", OrderedDict())
        if torch.is_grad_enabled():
            kept.clear()
        alone = not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1
        if torch.is_grad_enabled() or not alone or kwargs or getattr(self, "watched", False):
            return original(self, hidden_states, grid_thw=grid_thw, **kwargs)
        pixels = hidden_states.split(grid_thw.prod(dim=1).tolist())
        keys = [_hash(image, grid) for image, grid in zip(pixels, grid_thw.tolist(), strict=True)]
        new = {key: i for i, key in enumerate(keys) if key not in kept}
        if new:
            chosen = list(new.values())
            output = original(self, torch.cat([pixels[i] for i in chosen]), grid_thw=grid_thw[chosen])
            tokens = (grid_thw[chosen].prod(dim=1) // self.spatial_merge_size**2).tolist()
            features = [output.pooler_output, *(getattr(output, "deepstack_features", None) or [])]
            kept.update(zip(new, zip(*(each.split(tokens) for each in features), strict=True), strict=True))
        pooled, *deep = (torch.cat(parts) for parts in zip(*(kept[key] for key in keys), strict=True))
        while len(kept) > IMAGES_KEPT:
            kept.popitem(last=False)
        if issubclass(encoder, Qwen3VLVisionModel):
            return BaseModelOutputWithDeepstackFeatures(pooler_output=pooled, deepstack_features=deep)
        return BaseModelOutputWithPooling(pooler_output=pooled)

    encoder.forward = forward


def _hash(image: Tensor, grid: list[int]) -> bytes:
    return hashlib.sha256(repr(grid).encode() + image.contiguous().view(torch.uint8).numpy().tobytes()).digest()
