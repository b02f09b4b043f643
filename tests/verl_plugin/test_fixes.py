"""Corrections of verl, and proof that each is still needed."""

import importlib.util

import pytest
import torch
from tensordict import TensorDict

from kawhi.tiny.architectures import build_model
from kawhi.verl_plugin import verl_fixes
from kawhi.verl_plugin.verl_fixes import (
    STOCK_ATTENTION,
    STOCK_INPUT_EMBEDS,
    STOCK_POSITION_IDS,
    packed_attention,
    split_position_ids,
    text_only_input_embeds,
)


def come_back(fix, lengths: list[int]) -> bool:
    """Whether mRoPE positions ``(B, 4, S_i)``, as the agent loop stores them, are the same after the correction."""
    rows = [torch.arange(4 * n).view(4, n) for n in lengths]
    nested = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
    data = TensorDict({"position_ids": nested}, batch_size=len(lengths))
    fix(data)
    return all(map(torch.equal, data["position_ids"].unbind(), rows))


@pytest.mark.parametrize("lengths", [[10, 11, 12], [7, 7, 7, 7], [5]])
def test_rows_come_back(lengths):
    assert come_back(split_position_ids, lengths)


def test_stock_verl_still_needs_it():
    """When this fails, verl handles batches of one length itself and ``verl_fixes`` can go."""
    with pytest.raises(RuntimeError):
        come_back(STOCK_POSITION_IDS, [7, 7, 7, 7])


@pytest.fixture
def small_model(tokenizer):
    """A Qwen2.5-VL with random weights, whose vision encoder returns what transformers' does."""
    return build_model("qwen2_5_vl", tokenizer, seed=0).to(torch.float32).model


def test_a_batch_without_images_gets_the_embeddings_of_its_text(small_model):
    ids = torch.tensor([[5, 6, 7]])
    embeds, mask = text_only_input_embeds(small_model, ids)
    assert torch.equal(embeds, small_model.get_input_embeddings()(ids))
    assert mask is None


def test_stock_verl_still_needs_that_too(small_model):
    """When this fails, verl handles batches without images itself and the correction can go."""
    with pytest.raises(AttributeError, match="mean"):
        STOCK_INPUT_EMBEDS(small_model, torch.tensor([[5, 6, 7]]))


@pytest.fixture
def attention(tokenizer):
    """A layer's attention, and what it is given of three tokens."""
    language = build_model("qwen2_5_vl", tokenizer).model.language_model
    positions, states = torch.arange(3).expand(3, 1, 3), torch.randn(1, 3, language.config.hidden_size)
    given = {"attention_mask": None, "position_embeddings": language.rotary_emb(states, positions)}
    return language.layers[0].self_attn, states, given | {"position_ids": positions[0]}


@pytest.mark.skipif(importlib.util.find_spec("flash_attn") is not None, reason="flash-attn is here")
@pytest.mark.parametrize("chosen", ["sdpa", "eager"])
def test_verl_s_attention_for_packed_batches_needs_flash_attention(attention, chosen):
    """When the first part fails, verl's attention heeds ``attn_implementation`` and the correction can go."""
    layer, states, given = attention
    layer.config._attn_implementation = chosen
    with pytest.raises(NameError, match="_flash"):
        STOCK_ATTENTION(layer, states, **given)
    found, _ = packed_attention(layer, states, **given)
    assert torch.equal(found, layer(states, **given)[0])


def test_flash_attention_2_is_left_to_verl(attention, monkeypatch):
    layer, states, given = attention
    seen = []
    monkeypatch.setattr(verl_fixes, "STOCK_ATTENTION", lambda self, *args, **kwargs: seen.append((self, args, kwargs)))
    monkeypatch.setattr(layer.config, "_attn_implementation_internal", "flash_attention_2")
    packed_attention(layer, states, **given)
    assert seen == [(layer, (states,), given)]


def test_no_other_attention_takes_parts_of_sequences(attention, monkeypatch):
    layer, states, given = attention
    monkeypatch.setattr(verl_fixes.qwen2_vl, "get_ulysses_sequence_parallel_world_size", lambda: 2)
    layer.config._attn_implementation = "sdpa"
    with pytest.raises(ValueError, match="under flash_attention_2 alone, not sdpa: ulysses_sequence_parallel_size=1"):
        packed_attention(layer, states, **given)


def test_no_position_ids_is_fine():
    split_position_ids(TensorDict({}, batch_size=2))
