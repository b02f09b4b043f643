"""Attention received by visual tokens, against the weights that the library's own eager attention returns."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

from kawhi.models.vision_attention import VisionAttentionCapture, attention_received
from kawhi.tiny.architectures import FAMILIES, build_model
from kawhi.tiny.batching import patchify
from kawhi.tiny.vision_batching import window_order
from kawhi.tiny.world import problems


@pytest.fixture(params=["sdpa", "eager"])
def model(request, family, tokenizer):
    made = build_model(family, tokenizer, seed=1).eval()
    made.set_attn_implementation(request.param)
    return made


@torch.no_grad()
def weights_of(model, pixels, grid) -> list[torch.Tensor]:
    """``(H, n, n)`` per image, from the last block that spans the image."""
    model.set_attn_implementation("eager")
    visual = model.model.visual
    block = visual.blocks[max(getattr(visual, "fullatt_block_indexes", range(len(visual.blocks))))].attn
    module = __import__(type(block).__module__, fromlist=["x"])
    original, seen = module.eager_attention_forward, []

    def spy(owner, *args, **kwargs):
        output, weights = original(owner, *args, **kwargs)
        if owner is block:
            seen.append(weights[0].double())
        return output, weights

    module.eager_attention_forward = spy
    try:
        visual(pixels, grid_thw=grid)
    finally:
        module.eager_attention_forward = original
    return seen


@torch.no_grad()
def test_received_is_the_mean_of_the_columns(model, family):
    images = [problem.drawing.render(FAMILIES[family].image_size) for problem in islice(problems("train", 0), 2)]
    pixels, grid = patchify(images, family)
    capture = VisionAttentionCapture(model)
    capture.arm()
    model.model.visual(pixels, grid_thw=grid)
    received = capture.take()
    expected = torch.cat([w.mean(dim=(0, 1)).reshape(-1, 4).mean(dim=1) for w in weights_of(model, pixels, grid)])
    order = window_order(model, grid)
    if order is not None:
        assert order.tolist() != sorted(order.tolist())  # the windows reorder the tokens, so the test means something
        expected = torch.empty_like(expected).index_copy_(0, order, expected)
    assert [len(one) for one in received] == [36, 36]
    torch.testing.assert_close(torch.cat(received).double(), expected, atol=1e-6, rtol=1e-4)
    assert received[0].std() > 0


@torch.no_grad()
def test_only_the_armed_pass_is_kept(model, family):
    image = next(problems("train", 0)).drawing.render(FAMILIES[family].image_size)
    pixels, grid = patchify([image], family)
    capture = VisionAttentionCapture(model)
    model.model.visual(pixels, grid_thw=grid)
    with pytest.raises(RuntimeError, match="no chunks, grid, positions, qkv of the vision encoder"):
        capture.take()
    capture.arm()
    model.model.visual(pixels, grid_thw=grid)
    capture.take()
    with pytest.raises(RuntimeError, match="were captured"):
        capture.take()


def test_pieces_of_the_attention_matrix_add_up(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(7, 3, 4, generator=generator) for _ in range(2))
    whole = attention_received(query, key, 0.5)
    monkeypatch.setattr("kawhi.models.vision_attention._ELEMENTS_AT_ONCE", 3 * 7 * 2)
    torch.testing.assert_close(attention_received(query, key, 0.5), whole)
    literal = torch.einsum("qhd,khd->hqk", query, key).mul(0.5).softmax(-1).mean(dim=(0, 1))
    torch.testing.assert_close(whole, literal)
    assert whole.sum().item() == pytest.approx(1.0)
