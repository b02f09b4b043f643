"""InternVL: alpha against brute force, on a Qwen2 and on a Qwen3, and where its tokens are on the picture."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from transformers.models.qwen2 import modeling_qwen2
from transformers.models.qwen3 import modeling_qwen3

import kawhi
from kawhi.tiny.world import problems
from tests.models.tiny_internvl import TILE, TOKENS, build_model, build_processor
from tests.reference.alignment import alignment as literal_alignment

LANGUAGE = {"qwen2": modeling_qwen2, "qwen3": modeling_qwen3}


@pytest.fixture(scope="module")
def processor():
    return build_processor()


@pytest.fixture(scope="module")
def images():
    """Of one tile, of two beside each other, of three under each other; the small one of the whole is one more."""
    drawn = [each.drawing.render(2 * TILE) for each in islice(problems("train", 0), 3)]
    sizes = (TILE, TILE), (2 * TILE, TILE), (TILE, 3 * TILE)
    return [image.resize(size) for image, size in zip(drawn, sizes, strict=True)]


def test_views_are_the_tiles_put_together_and_the_whole(processor, images):
    found = [kawhi.views(image, processor) for image in images]
    assert [[view.picture.shape[:2] for view in views] for views in found] == [
        [(TILE, TILE)],
        [(TILE, 2 * TILE), (TILE, TILE)],
        [(3 * TILE, TILE), (TILE, TILE)],
    ]
    assert {(view.token_pixels, view.order.size) for views in found for view in views} == {(28, 4), (28, 8), (28, 12)}
    for views, image in zip(found, images, strict=True):  # nothing was resized, so it is the picture itself
        assert np.abs(views[0].picture.astype(int) - np.asarray(image.convert("RGB"))).max() <= 1
    assert found[1][0].order.tolist() == [0, 1, 4, 5, 2, 3, 6, 7]  # the left tile first, row by row
    assert found[2][0].order.tolist() == list(range(12))


@torch.no_grad()
def test_a_token_is_made_of_the_square_that_its_view_says(processor, images):
    """With an encoder that lets every patch see itself alone, one square's pixels move one token."""
    model = build_model(processor, "qwen2")
    for layer in model.model.vision_tower.encoder.layer:
        layer.lambda_1.zero_()
        layer.lambda_2.zero_()

    def tokens(picture) -> torch.Tensor:
        pixels = processor(images=[picture], text=[processor.image_token], return_tensors="pt")["pixel_values"]
        return model.model.get_image_features(pixels, return_dict=True).pooler_output.flatten(0, 1)

    for image in images[1:]:
        view, small = kawhi.views(image, processor)
        before = tokens(image.convert("RGB"))
        assert len(before) == view.order.size + small.order.size
        for cell, place in enumerate(view.order.tolist()):
            row, column = divmod(cell, view.grid[1])
            other = image.convert("RGB")
            other.paste((255, 0, 128), (28 * column, 28 * row, 28 * column + 28, 28 * row + 28))
            moved = (tokens(other) - before).abs().amax(dim=1)[: view.order.size] > 1e-4
            assert moved.nonzero()[:, 0].tolist() == [place]


@pytest.mark.parametrize("text", LANGUAGE)
@pytest.mark.parametrize("heads", [None, [1, 2]])
def test_alpha_equals_brute_force(processor, images, monkeypatch, text, heads):
    """From the queries and keys that the attention itself received, padded on the left, over selected tokens."""
    original, rotated = LANGUAGE[text].apply_rotary_pos_emb, []

    def spy(*args, **kwargs):
        rotated.append(original(*args, **kwargs))
        return rotated[-1]

    monkeypatch.setattr(LANGUAGE[text], "apply_rotary_pos_emb", spy)
    model, tokenizer = build_model(processor, text), processor.tokenizer
    texts = [f"{processor.image_token}What is this?" for _ in images]
    prompt = processor(images=images, text=texts, padding=True, return_tensors="pt")
    answers = ["One.\n\nTwo is here.", "Three.", "Four.\n\nFive.\n\nSix."]
    answer = tokenizer(answers, padding=True, padding_side="right", return_tensors="pt")
    inputs = {
        "input_ids": torch.cat([prompt["input_ids"], answer["input_ids"]], dim=1),
        "attention_mask": torch.cat([prompt["attention_mask"], answer["attention_mask"]], dim=1),
        "pixel_values": prompt["pixel_values"],
    }
    selected = [kawhi.select_visual_tokens(image, processor, seed=1) for image in images]
    with torch.no_grad(), kawhi.capture(model, heads=heads) as seen:
        model(**inputs)
    mask = answer["attention_mask"].bool()
    alpha = seen.alpha(mask, selected)

    assert len(rotated) == 3
    queries, keys = (x.transpose(1, 2) for x in rotated[-1])  # (B, S, H, d) of the last layer
    assert (queries.shape[2], keys.shape[2]) == (4, 2)
    for row, (chosen, own) in enumerate(zip(selected, mask, strict=True)):
        visual = (inputs["input_ids"][row] == processor.image_token_id).nonzero()[:, 0]
        assert len(visual) == TOKENS * (1, 3, 4)[row]
        assert 0 < len(chosen) < len(visual) or len(visual) == TOKENS
        expected = literal_alignment(
            queries[row, -mask.shape[1] :][own].numpy(), keys[row][visual[torch.as_tensor(chosen)]].numpy(), heads
        )
        np.testing.assert_allclose(alpha[row][own].numpy(), expected, atol=1e-5)
        assert expected.std() > 1e-3  # tokens differ, so the comparison means something

    segments = kawhi.padded_segments(answer["input_ids"], mask, tokenizer)
    assert segments.amax(dim=1).tolist() == [1, 0, 2]
    weights = kawhi.padded_paragraph_weights(alpha, segments, mask)
    assert bool((weights[mask] >= 0.1).all())


def test_another_language_model_is_refused(processor):
    with (
        pytest.raises(ValueError, match="InternVL on a language model llama cannot be read: choose one on qwen2 or"),
        kawhi.capture(build_model(processor, "llama")),
    ):
        pass


def test_other_families_are_refused_with_the_list():
    class Other(torch.nn.Module):
        class config:
            model_type = "llava_onevision"
            image_token_id = 1

    with (
        pytest.raises(
            ValueError,
            match=r"family llava_onevision cannot be read: choose one of internvl, qwen2_5_vl, qwen3_vl, or add it "
            r"\(docs/adding_a_family.md\)",
        ),
        kawhi.capture(Other()),
    ):
        pass
