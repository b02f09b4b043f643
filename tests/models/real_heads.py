"""Narrow models of both families with the attention heads of the published ones, and batches for them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText

from kawhi.credit.alignment import packed_alignment
from kawhi.models.attention_capture import AttentionCapture
from kawhi.models.capture import unwrapped
from kawhi.tiny.architectures import build_model
from kawhi.tiny.batching import IGNORE, Batcher
from kawhi.tiny.world import problems

HEADS: dict[str, dict[str, Any]] = {
    # Its heads are as wide together as the model is.
    "qwen2_5_vl": {"hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4},
    "qwen3_vl": {"hidden_size": 256, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128},
}
SECTIONS = {"qwen2_5_vl": [16, 24, 24], "qwen3_vl": [24, 20, 20]}
"""Of Qwen2.5-VL-7B and Qwen3-VL-4B: their ``config.json``."""


def real_heads(family, tokenizer, attention: str = "eager", *, layers: int = 2) -> nn.Module:
    """A randomly initialised model in float32, whose heads look in all directions."""
    config = build_model(family, tokenizer).config
    for name, value in {**HEADS[family], "num_hidden_layers": layers, "intermediate_size": 128}.items():
        setattr(config.text_config, name, value)
    config.text_config.layer_types = ["full_attention"] * layers
    config.text_config.rope_parameters["mrope_section"] = SECTIONS[family]
    config.text_config.initializer_range = 0.01  # logits of a random model stay within a few units
    config.vision_config.out_hidden_size = HEADS[family]["hidden_size"]
    torch.manual_seed(5)
    return AutoModelForImageTextToText.from_config(config, attn_implementation=attention).eval()


@dataclass
class Sequences:
    """Some sequences with an image each, right-padded: inputs, and where their responses and image tokens are."""

    inputs: dict[str, Tensor]
    response: Tensor
    visual: Tensor

    @property
    def lengths(self) -> list[int]:
        return self.inputs["attention_mask"].sum(dim=1).tolist()


def sequences(family, tokenizer, count: int = 3) -> Sequences:
    """Of different lengths."""
    chosen = list(islice(problems("train", seed=0), count))
    texts = [chosen[0].worked, chosen[1].short, *(each.worked for each in chosen[2:])]
    inputs, labels = Batcher(family, tokenizer).supervised(chosen, texts)
    return Sequences(inputs, labels != IGNORE, inputs["mm_token_type_ids"].bool())


def single(batch: Sequences, i: int) -> dict[str, Tensor]:
    """The inputs of one sequence by itself."""
    length = batch.lengths[i]
    patches = batch.inputs["image_grid_thw"].prod(dim=1).tolist()
    return {
        "pixel_values": batch.inputs["pixel_values"].split(patches)[i],
        "image_grid_thw": batch.inputs["image_grid_thw"][i : i + 1],
        **{
            name: batch.inputs[name][i : i + 1, :length]
            for name in ("input_ids", "attention_mask", "mm_token_type_ids")
        },
    }


def positions(model: Any, one: dict[str, Tensor]) -> Tensor:
    """``(4, 1, S)``: text positions, then mRoPE's three rows, as verl hands them to the model."""
    found, _ = unwrapped(model).model.get_rope_index(
        one["input_ids"],
        mm_token_type_ids=one["mm_token_type_ids"],
        image_grid_thw=one["image_grid_thw"],
        attention_mask=one["attention_mask"],
    )
    return torch.cat([torch.arange(one["input_ids"].shape[1])[None, None], found])


def packed(model: Any, batch: Sequences) -> dict[str, Tensor]:
    """All sequences in one row, without a mask: their borders are in the text positions alone."""
    ones = [single(batch, i) for i in range(len(batch.lengths))]
    return {
        "input_ids": torch.cat([one["input_ids"] for one in ones], dim=1),
        "mm_token_type_ids": torch.cat([one["mm_token_type_ids"] for one in ones], dim=1),
        "position_ids": torch.cat([positions(model, one) for one in ones], dim=2),
        "pixel_values": batch.inputs["pixel_values"],
        "image_grid_thw": batch.inputs["image_grid_thw"],
    }


def signals(model: Any, capture: AttentionCapture, inputs: dict[str, Tensor], own: Tensor, visual: Tensor) -> Tensor:
    """``(2, T)`` log-probs and alpha of the response tokens of a pass.

    Args:
        own: ``(B, S)`` which sequence a response token is of; -1 for others.
        visual: ``(B, S)`` likewise for image tokens, of which every third is left out.
    """
    with torch.no_grad():
        capture.arm()
        logits = model(**inputs, use_cache=False).logits.float()
    asking, keys = (torch.nonzero(each.flatten() >= 0)[:, 0] for each in (own, visual))
    keys = keys[torch.arange(len(keys)) % 3 != 0]
    captured = capture.take(asking, keys)
    count = int(own.max()) + 1
    alpha = packed_alignment(captured.queries, own.flatten()[asking], captured.keys, visual.flatten()[keys], count)
    states = logits.flatten(0, 1)[asking - 1].log_softmax(-1)
    return torch.stack([states.gather(1, inputs["input_ids"].flatten()[asking, None])[:, 0], alpha])
