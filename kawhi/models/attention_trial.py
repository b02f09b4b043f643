"""Whether an attention really runs on this machine, and is exact for packed batches: one row against its parts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Qwen2_5_VLTextConfig, Qwen3VLTextConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextModel

_LENGTHS = (33, 1, 130)


def deviation(attention: str, *, device: str, dtype: torch.dtype) -> float:
    """The largest difference between a packed row and its sequences by themselves under torch's sdpa, in both families.

    Of the last layer's output and of the gradient of the embeddings, through two layers with the published models'
    attention heads, as a share of the largest number.  An attention that is exact stays below 1e-5 in float32 and 2e-2
    in bfloat16; where sequences see each other, or gradients are lost, it is above 0.05.

    Raises:
        Exception: whatever an attention raises that is not there, or has no kernel for this device.
    """
    return max(_of_family(model, config, attention, device, dtype) for model, config in _families())


def _families() -> list[tuple[Any, Any]]:
    rope = {"rope_type": "default", "rope_theta": 1e6}
    narrow = {"vocab_size": 8, "num_hidden_layers": 2, "intermediate_size": 64, "attn_implementation": "sdpa"}
    first = Qwen2_5_VLTextConfig(
        hidden_size=3584,
        num_attention_heads=28,
        num_key_value_heads=4,
        rope_parameters={**rope, "mrope_section": [16, 24, 24]},
        **narrow,
    )
    second = Qwen3VLTextConfig(
        hidden_size=256,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        rope_parameters={**rope, "mrope_section": [24, 20, 20], "mrope_interleaved": True},
        **narrow,
    )
    return [(Qwen2_5_VLTextModel, first), (Qwen3VLTextModel, second)]


def _of_family(model_class: Any, config: Any, attention: str, device: str, dtype: torch.dtype) -> float:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = model_class(config).to(device, dtype)
        rows = [torch.randn(1, length, config.hidden_size).to(device, dtype) for length in _LENGTHS]
    positions = [torch.arange(length, device=device).expand(4, 1, -1) for length in _LENGTHS]
    alone = [_pass(model, row, own) for row, own in zip(rows, positions, strict=True)]
    model.set_attn_implementation(attention)
    together = _pass(model, torch.cat(rows, dim=1), torch.cat(positions, dim=2))
    return max(
        _share(found, torch.cat(expected, dim=1))
        for found, expected in zip(together, zip(*alone, strict=True), strict=True)
    )


def _pass(model: Any, states: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """The last layer's output, and the gradient of what it makes of itself."""
    states = states.clone().requires_grad_()
    output = model(inputs_embeds=states, position_ids=positions, use_cache=False).last_hidden_state
    (gradient,) = torch.autograd.grad(output.float().pow(3).sum(), states)
    return output.detach().float(), gradient.float()


def _share(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max()).item()
