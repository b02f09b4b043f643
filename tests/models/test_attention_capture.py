"""alpha from captured projections against alpha from the queries and keys that the attention itself received."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl
from transformers.models.qwen3_vl import modeling_qwen3_vl

from kawhi.credit.alignment import AlignmentOptions, packed_alignment
from kawhi.models.attention_capture import AttentionCapture
from kawhi.tiny.architectures import FAMILIES, KEY_HEADS, LAYERS, QUERY_HEADS, build_model
from kawhi.tiny.batching import IGNORE, Batcher
from kawhi.tiny.world import problems
from tests.reference.alignment import alignment as literal_alignment

ROTARY = {
    "qwen2_5_vl": (modeling_qwen2_5_vl, "apply_multimodal_rotary_pos_emb"),
    "qwen3_vl": (modeling_qwen3_vl, "apply_rotary_pos_emb"),
}


@pytest.fixture(scope="module")
def models(tokenizer):
    return {family: build_model(family, tokenizer, seed=1).eval() for family in FAMILIES}


@pytest.fixture
def model(models, family):
    return models[family]


@pytest.fixture
def batch(family, tokenizer):
    """Model inputs of two right-padded sequences of different lengths, and their labels."""
    chosen = list(islice(problems("train", seed=0), 2))
    return Batcher(family, tokenizer).supervised(chosen, [chosen[0].worked, chosen[1].short])


@pytest.fixture
def rotated(monkeypatch, family):
    """(queries, keys) after every rotary embedding of the text model, taken from the library's own function."""
    module, name = ROTARY[family]
    original, seen = getattr(module, name), []

    def spy(*args, **kwargs):
        result = original(*args, **kwargs)
        seen.append(result)
        return result

    monkeypatch.setattr(module, name, spy)
    return seen


def rows(chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Flat indices of a ``(B, S)`` choice, and the sequence of each."""
    return chosen.flatten().nonzero()[:, 0], chosen.nonzero()[:, 0]


@torch.no_grad()
def taken(model, inputs, *wanted, **options):
    """What a capture keeps of one pass."""
    capture = AttentionCapture(model)
    capture.arm()
    model(**inputs)
    return capture.take(*wanted, **options)


@pytest.mark.parametrize("heads", [None, [1, 2]])
def test_alpha_equals_brute_force(model, batch, rotated, tokenizer, heads):
    inputs, labels = batch
    query_rows, query_sequence = rows(labels != IGNORE)
    visual = inputs["input_ids"] == tokenizer.convert_tokens_to_ids("<|image_pad|>")
    visual &= torch.arange(visual.shape[1]) % 3 != 0  # a selection, not every visual token
    key_rows, key_sequence = rows(visual)
    captured = taken(model, inputs, query_rows, key_rows)
    alpha = packed_alignment(captured.queries, query_sequence, captured.keys, key_sequence, 2, heads)

    assert len(rotated) == LAYERS
    queries, keys = (x.transpose(1, 2) for x in rotated[-1])  # (B, S, H, d) of the last layer
    assert queries.shape[2:] == captured.queries.shape[1:]
    assert captured.keys.shape[1] == KEY_HEADS < QUERY_HEADS == captured.queries.shape[1]
    torch.testing.assert_close(captured.queries, queries[labels != IGNORE], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(captured.keys, keys[visual], atol=1e-5, rtol=1e-5)
    for sequence in range(2):
        chosen = labels[sequence] != IGNORE
        expected = literal_alignment(queries[sequence][chosen].numpy(), keys[sequence][visual[sequence]].numpy(), heads)
        np.testing.assert_allclose(alpha[query_sequence == sequence].numpy(), expected, atol=1e-5)
        assert expected.std() > 1e-3  # tokens differ, so the comparison means something


@pytest.mark.parametrize("metric", ["key_query", "key_key"])
@pytest.mark.parametrize("rope", ["after", "before"])
def test_chosen_heads_are_those_of_the_whole_capture(model, batch, metric, rope):
    inputs, _ = batch
    rows, chosen = torch.tensor([3, 40, 5]), [3, 0]
    every, some = (taken(model, inputs, rows, rows, metric=metric, rope=rope, heads=heads) for heads in (None, chosen))
    groups = QUERY_HEADS // KEY_HEADS
    served = [head // groups for head in chosen]
    torch.testing.assert_close(some.queries, every.queries[:, chosen if metric == "key_query" else served])
    torch.testing.assert_close(some.keys, every.keys[:, served])


def test_rows_come_back_in_the_order_asked_for(model, batch):
    inputs, _ = batch
    length = inputs["input_ids"].shape[1]
    some, shuffled = torch.tensor([3, length + 5, 40]), torch.tensor([2, 0, 1])
    straight, turned = (taken(model, inputs, picked, picked) for picked in (some, some[shuffled]))
    assert torch.equal(turned.queries, straight.queries[shuffled])
    assert torch.equal(turned.keys, straight.keys[shuffled])


@torch.no_grad()
def test_capturing_does_not_change_the_model(model, batch):
    inputs, _ = batch
    before = model(**inputs).logits
    capture = AttentionCapture(model)
    capture.arm()
    during = model(**inputs).logits
    assert torch.equal(before, during)


@torch.no_grad()
def test_captures_one_armed_pass_only(model, batch):
    inputs, _ = batch
    some = torch.tensor([0])
    capture = AttentionCapture(model)
    message = "no keys, positions, queries were captured: the armed pass did not run"
    model(**inputs)
    with pytest.raises(RuntimeError, match=message):  # never armed
        capture.take(some, some)
    capture.arm()
    assert capture.armed
    with pytest.raises(RuntimeError, match=message):  # armed, but nothing ran since
        capture.take(some, some)
    capture.arm()
    model(**inputs)
    capture.take(some, some)
    assert not capture.armed
    with pytest.raises(RuntimeError, match=message):  # taken already
        capture.take(some, some)
    capture.arm()
    model(**inputs)
    capture.disarm()
    assert not capture.armed
    with pytest.raises(RuntimeError, match=message):  # dropped
        capture.take(some, some)


def test_requires_heads_that_are_there_and_a_layer_that_sees_all_tokens(model):
    capture = AttentionCapture(model)
    capture.require(AlignmentOptions(heads=[QUERY_HEADS - 1], statistic="max_attention"))
    with pytest.raises(ValueError, match=r"kawhi\.alignment\.heads=\[0, 4\]: the model has 4 query heads"):
        capture.require(AlignmentOptions(heads=[0, QUERY_HEADS]))
    capture.window = 64
    capture.require(AlignmentOptions(statistic="max_cosine"))
    with pytest.raises(ValueError, match="attention_mass: layer last attends within 64 tokens"):
        capture.require(AlignmentOptions(statistic="attention_mass"))


def test_the_window_of_a_layer_is_known(tokenizer):
    config = build_model("qwen2_5_vl", tokenizer).config
    config.text_config.sliding_window = 64
    config.text_config.layer_types = ["full_attention", *["sliding_attention"] * (LAYERS - 1)]
    model = AutoModelForImageTextToText.from_config(config)
    assert [AttentionCapture(model, layer).window for layer in (0, "last")] == [None, 64]


def test_refuses_passes_with_gradients(model):
    capture = AttentionCapture(model)
    with pytest.raises(RuntimeError, match="armed in a pass with gradients"):
        capture.arm()
    assert not capture.armed
