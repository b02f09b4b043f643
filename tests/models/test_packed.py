"""Log-probs and alpha of a batch are those of its sequences, one by one, with every attention that a processor has.

At the published models' numbers of heads, packed into one row and padded.
"""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AttentionInterface, AttentionMaskInterface
from transformers import modeling_flash_attention_utils as flash
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from kawhi.base.attention_choice import available
from kawhi.models.attention_capture import AttentionCapture
from kawhi.models.attention_trial import deviation
from tests.models.real_heads import packed, real_heads, sequences, signals, single

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
OF_A_PROCESSOR = (*available("cpu"), "eager")


@pytest.fixture(scope="module")
def made(tokenizer):
    """A model for each family, of which every test gets the attention that it asks for."""
    models = {}

    def make(family, attention: str = "sdpa", dtype: torch.dtype = torch.float32):
        if family not in models:
            models[family] = real_heads(family, tokenizer)
        models[family].set_attn_implementation(attention)
        batch = sequences(family, tokenizer)
        batch.inputs["pixel_values"] = batch.inputs["pixel_values"].to(dtype)
        return models[family].to(dtype), batch

    return make


def compared(model, batch, capture=None) -> dict[str, torch.Tensor]:
    """``(2, T)`` log-probs and alpha of all response tokens: of each sequence by itself, packed and padded."""
    capture = capture or AttentionCapture(model)
    count = len(batch.lengths)
    each = torch.arange(count)[:, None]
    own, visual = (torch.where(chosen, each, -1) for chosen in (batch.response, batch.visual))
    real = batch.inputs["attention_mask"].bool()
    alone = []
    for i, length in enumerate(batch.lengths):
        one = (own[i : i + 1, :length], visual[i : i + 1, :length])
        alone.append(signals(model, capture, single(batch, i), *(torch.where(x < 0, -1, 0) for x in one)))
    return {
        "alone": torch.cat(alone, dim=1),
        "packed": signals(model, capture, packed(model, batch), own[real][None], visual[real][None]),
        "padded": signals(model, capture, batch.inputs, own, visual),
    }


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("attention", OF_A_PROCESSOR)
def test_a_batch_gives_what_its_sequences_give(made, family, attention, dtype):
    found = compared(*made(family, attention, dtype))
    assert len(set(found["alone"][1].tolist())) > 50  # tokens differ, so the comparison means something
    for layout in ("packed", "padded"):
        torch.testing.assert_close(found[layout], found["alone"], atol=TOLERANCE[dtype], rtol=0)


def test_every_attention_gives_the_same(made, family):
    first, second = (compared(*made(family, attention)) for attention in OF_A_PROCESSOR)
    for layout in first:
        torch.testing.assert_close(first[layout], second[layout], atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_with_adapters_too(tokenizer, family, dtype):
    """And their signals are those of a model to whose weights they were added, which nothing wraps."""
    model = real_heads(family, tokenizer, "sdpa").to(dtype)
    batch = sequences(family, tokenizer)
    batch.inputs["pixel_values"] = batch.inputs["pixel_values"].to(dtype)
    plain = compared(model, batch)["alone"]
    adapted = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear", exclude_modules=".*visual.*"))
    trained = [(name, weight) for name, weight in adapted.named_parameters() if weight.requires_grad]
    assert not [name for name, _ in trained if "visual" in name]
    with torch.no_grad():
        for _, weight in trained:
            weight.copy_(0.03 * torch.randn_like(weight))
    found = compared(adapted.eval(), batch)
    for layout in ("packed", "padded"):
        torch.testing.assert_close(found[layout], found["alone"], atol=TOLERANCE[dtype], rtol=0)
    assert ((found["alone"] - plain).abs().amax(dim=1) > torch.tensor([0.1, 0.01])).all()
    if dtype is torch.float32:
        merged = compared(adapted.merge_and_unload(), batch)
        torch.testing.assert_close(merged, found, atol=1e-5, rtol=0)


def test_without_the_text_positions_sequences_would_see_each_other(made, family):
    """mRoPE's three rows alone do not say where a sequence begins: verl hands over four."""
    model, batch = made(family)
    inputs = packed(model, batch)
    with torch.no_grad():
        right, wrong = (
            model(**inputs | {"position_ids": rows}, use_cache=False).logits
            for rows in (inputs["position_ids"], inputs["position_ids"][1:])
        )
    first = batch.lengths[0]
    torch.testing.assert_close(right[:, :first], wrong[:, :first], atol=1e-5, rtol=0)
    assert (right - wrong)[:, first:].abs().max() > 0.01


def test_flash_attention_gets_the_lengths_of_a_packed_row(made, family, monkeypatch):
    """Its kernels need a GPU; what transformers hands them for a row of verl's does not."""
    model, batch = made(family)
    expected = compared(model, batch)
    seen = []

    def varlen(query, key, value, *, cu_seqlens_q, cu_seqlens_k, **_):
        seen.append(cu_seqlens_q.tolist())
        assert torch.equal(cu_seqlens_q, cu_seqlens_k)
        parts = []
        for q, k, v in zip(*(x.split(cu_seqlens_q.diff().tolist()) for x in (query, key, value)), strict=True):
            q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
            mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            parts.append(mixed[0].transpose(0, 1))
        return torch.cat(parts)

    def one_length(query, key, value, **_):
        flat = (x.flatten(0, 1) for x in (query, key, value))
        borders = torch.arange(query.shape[0] + 1, dtype=torch.int32) * query.shape[1]
        return varlen(*flat, cu_seqlens_q=borders, cu_seqlens_k=borders).view_as(query)

    functions = (one_length, varlen, None, flash._pad_input, flash._unpad_input)
    prepared = flash._lazy_define_process_function(varlen)
    monkeypatch.setattr(flash, "lazy_import_flash_attention", lambda *_, **__: (functions, prepared))
    text = model.config.text_config
    monkeypatch.setattr(text, "_attn_implementation_internal", "flash_attention_2")
    found = compared(model, batch)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    first, second, third = batch.lengths
    assert [0, first, first + second, first + second + third] in seen


@pytest.mark.parametrize("attention", OF_A_PROCESSOR)
def test_the_trial_of_an_attention_passes_what_is_exact(attention):
    assert deviation(attention, device="cpu", dtype=torch.float32) < 1e-5
    assert deviation(attention, device="cpu", dtype=torch.bfloat16) < 2e-2


@pytest.mark.parametrize("fault", ["sequences see each other", "no gradient"])
def test_the_trial_finds_what_is_not(fault):
    def faulty(module, query, key, value, attention_mask, **options):
        if fault == "no gradient":
            with torch.no_grad():
                return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return sdpa_attention_forward(module, query, key, value, None, **options)

    AttentionInterface.register("faulty", faulty)
    AttentionMaskInterface.register("faulty", sdpa_mask)
    assert deviation("faulty", device="cpu", dtype=torch.float32) > 0.05
