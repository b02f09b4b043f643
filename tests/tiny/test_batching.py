"""The warm start's shortcuts against what the Hugging Face processor and vision encoder do."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

from kawhi.tiny.architectures import FAMILIES, build_model, build_processor
from kawhi.tiny.batching import IGNORE, Batcher, patchify
from kawhi.tiny.vision_batching import batch_vision_attention, window_order
from kawhi.tiny.world import Problem, problems
from tests.tiny.made import chat, render


@pytest.fixture(scope="module")
def some_problems() -> list[Problem]:
    return list(islice(problems("warmup", seed=11), 4))


def test_prompts_and_pixels_equal_the_processors(family, tokenizer, some_problems):
    processor, batcher = build_processor(family, tokenizer), Batcher(family, tokenizer)
    images = render(some_problems, family)
    pixels, grid = patchify(images, family)
    for problem, image, mine, mine_grid in zip(some_problems, images, pixels.chunk(len(images)), grid, strict=True):
        text = processor.apply_chat_template(chat(problem.question), add_generation_prompt=True)
        expected = processor(text=[text], images=[image], return_tensors="pt")
        assert batcher.prompt_ids(problem.question) == expected["input_ids"][0].tolist()
        assert mine_grid.tolist() == expected["image_grid_thw"][0].tolist()
        torch.testing.assert_close(mine, expected["pixel_values"], atol=1e-5, rtol=0)
    assert batcher.side**2 == 36


def test_supervised_batch(family, tokenizer, some_problems):
    batcher = Batcher(family, tokenizer)
    responses = [p.worked if i % 2 else p.short for i, p in enumerate(some_problems)]
    inputs, labels = batcher.supervised(some_problems, responses)
    ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
    for i, (problem, response) in enumerate(zip(some_problems, responses, strict=True)):
        prompt = batcher.prompt_ids(problem.question)
        known = labels[i] != IGNORE
        assert tokenizer.decode(labels[i][known]) == response + tokenizer.eos_token
        assert ids[i][mask[i]].tolist() == prompt + labels[i][known].tolist()
        assert known.nonzero()[0].item() == len(prompt)
        assert mask[i].long().diff().max().item() <= 0  # padded on the right
        assert (ids[i][~mask[i]] == tokenizer.pad_token_id).all()
    torch.testing.assert_close(inputs["mm_token_type_ids"].bool(), ids == batcher.image_token)
    pixels, grid = patchify(render(some_problems, family), family)
    assert torch.equal(inputs["pixel_values"], pixels)
    assert torch.equal(inputs["image_grid_thw"], grid)


def refuse(*args, **kwargs):
    raise AssertionError("the looped forward ran")


@torch.no_grad()
def test_batched_vision_attention_equals_the_loop(family, tokenizer, some_problems, monkeypatch):
    """When the count of the loop's calls fails, transformers batches them itself."""
    pixels, grid = patchify(render(some_problems, family), family)
    looped, batched = (build_model(family, tokenizer, seed=2).eval() for _ in range(2))
    calls = []
    attend = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda *a, **k: calls.append(1) or attend(*a, **k)
    )
    expected = looped.model.visual(pixels, grid_thw=grid)
    assert len(calls) >= len(some_problems) * len(batched.model.visual.blocks)
    calls.clear()
    for block in batched.model.visual.blocks:
        block.attn.forward = refuse  # what the batched forward would fall back to
    batch_vision_attention(batched)
    found = batched.model.visual(pixels, grid_thw=grid)
    assert len(calls) == len(batched.model.visual.blocks)
    torch.testing.assert_close(found.pooler_output, expected.pooler_output, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.last_hidden_state, expected.last_hidden_state, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_images_of_different_sizes_take_the_loop(family, tokenizer):
    grid = torch.tensor([[1, 4, 4], [1, 4, 6]])
    width = 3 * 2 * FAMILIES[family].patch_size ** 2
    pixels = torch.randn(40, width, generator=torch.Generator().manual_seed(0))
    looped, batched = (build_model(family, tokenizer, seed=2).eval() for _ in range(2))
    batch_vision_attention(batched)
    expected = looped.model.visual(pixels, grid_thw=grid).pooler_output
    assert torch.equal(batched.model.visual(pixels, grid_thw=grid).pooler_output, expected)


@torch.no_grad()
def test_window_order_names_the_merged_rows(family, tokenizer, some_problems):
    pixels, grid = patchify(render(some_problems[:2], family), family)
    model = build_model(family, tokenizer).eval()
    merged = []
    model.model.visual.merger.register_forward_hook(lambda module, inputs, output: merged.append(output))
    row_major = model.model.visual(pixels, grid_thw=grid).pooler_output
    order = window_order(model, grid)
    if family == "qwen3_vl":
        assert order is None
        assert torch.equal(merged[0], row_major)
    else:
        assert sorted(order.tolist()) == list(range(72))
        assert order.tolist() != list(range(72))
        assert torch.equal(merged[0], row_major[order])
