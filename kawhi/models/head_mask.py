"""Switches off attention heads of a language model: heads with one index, in all decoder layers (figure 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from kawhi.models.capture import unwrapped


@contextmanager
def masked_heads(model: PreTrainedModel | nn.Module, heads: Sequence[int]) -> Iterator[None]:
    """While the context is open, the output of these query heads is zero in every decoder layer.

    Raises:
        ValueError: a head that the model does not have.
    """
    language_model: Any = unwrapped(model).model.language_model
    total = language_model.config.num_attention_heads
    if any(not 0 <= head < total for head in heads):
        raise ValueError(f"heads {list(heads)} are not a choice out of {total} query heads")

    def silence(module, args):
        mixed = args[0].unflatten(-1, (total, -1)).clone()  # the heads' outputs, side by side
        mixed[..., list(heads), :] = 0
        return (mixed.flatten(-2), *args[1:])

    hooks = [layer.self_attn.o_proj.register_forward_pre_hook(silence) for layer in language_model.layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
