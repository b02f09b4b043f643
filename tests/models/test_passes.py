"""alpha of anybody's pass: padded on either side, packed, in parts, with gradients, inside wrappers."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

import kawhi
from kawhi.credit.alignment import AlignmentOptions
from kawhi.models.inspection import Inspector
from kawhi.tiny.warm_start import CHECKPOINTS
from kawhi.tiny.world import problems
from tests.tiny.made import render

HEADS = [1, 2]


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def inspector(request):
    return Inspector(str(CHECKPOINTS / request.param), AlignmentOptions(heads=HEADS))


@pytest.fixture(scope="module")
def scenes(inspector):
    """Prompts of one image each, responses of different lengths, and what Inspector sees of each by itself."""
    family = inspector.model.config.model_type
    chosen = list(islice(problems("train", 0), 3))
    texts = [chosen[0].worked, chosen[1].short, chosen[2].worked]
    found = []
    for problem, image, text in zip(chosen, render(chosen, family), texts, strict=True):
        prompt = inspector.prompt(image, problem.question)
        response = torch.tensor(inspector.tokenizer(text, add_special_tokens=False)["input_ids"])
        selected = kawhi.select_visual_tokens(image, inspector.processor, seed=len(found))
        look = inspector.look(prompt, response)
        found.append((prompt, response, selected, look.alpha(selected), look.alpha(np.arange(len(look.visual)))))
    return found


def padded(scenes, image_token: int, prompt_side: str = "left"):
    """Inputs of a batch as trainers pad it, and which of the last T tokens are the responses'."""
    prompts = [prompt["input_ids"][0] for prompt, *_ in scenes]
    ids = pad_sequence(prompts, batch_first=True, padding_value=-1, padding_side=prompt_side)
    tokens = pad_sequence([response for _, response, *_ in scenes], batch_first=True, padding_value=-1)
    both = torch.cat([ids, tokens], dim=1)
    inputs = {
        "input_ids": both.clamp(min=0),
        "attention_mask": (both >= 0).long(),
        "mm_token_type_ids": (both == image_token).int(),
        **{name: torch.cat([prompt[name] for prompt, *_ in scenes]) for name in ("pixel_values", "image_grid_thw")},
    }
    return inputs, tokens >= 0


def expect(alpha, mask, scenes, which: int = 3):
    assert alpha.shape == mask.shape
    assert torch.equal(alpha != 0, mask)
    torch.testing.assert_close(alpha[mask], torch.cat([scene[which] for scene in scenes]), atol=1e-6, rtol=0)
    assert float(alpha[mask].std()) > 0.01


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_rows_give_what_each_gives_by_itself(inspector, scenes, side):
    inputs, mask = padded(scenes, inspector.model.config.image_token_id, side)
    with torch.no_grad(), kawhi.capture(inspector.model, heads=HEADS) as seen:
        inspector.model(**inputs)
    expect(seen.alpha(mask, [scene[2] for scene in scenes]), mask, scenes)
    expect(seen.alpha(mask), mask, scenes, which=4)  # all visual tokens; and what was seen can be asked twice


def test_rows_of_several_passes_follow_each_other(inspector, scenes):
    """As trainers cut a padded batch."""
    inputs, mask = padded(scenes, inspector.model.config.image_token_id)
    patches = inputs["pixel_values"].split(inputs["image_grid_thw"].prod(dim=1).tolist())
    with torch.no_grad(), kawhi.capture(inspector.model, heads=HEADS) as seen:
        for rows in ([0, 1], [2]):
            own = {name: inputs[name][rows] for name in inputs if name != "pixel_values"}
            inspector.model(**own, pixel_values=torch.cat([patches[row] for row in rows]))
    expect(seen.alpha(mask, [scene[2] for scene in scenes]), mask, scenes)


def test_one_packed_row_gives_the_same(inspector, scenes):
    """Sequence after sequence in one row, with positions that start again, as trainers without padding run a model."""
    model, token = inspector.model, inspector.model.config.image_token_id
    rows, positions = [], []
    for prompt, response, *_ in scenes:
        ids = torch.cat([prompt["input_ids"][0], response])
        own, _ = model.model.get_rope_index(
            ids[None],
            mm_token_type_ids=(ids == token).int()[None],
            image_grid_thw=prompt["image_grid_thw"],
            attention_mask=torch.ones_like(ids)[None],
        )
        rows.append(ids)
        positions.append(torch.cat([torch.arange(len(ids))[None, None], own]))
    starts = torch.tensor([0, *map(len, rows)]).cumsum(0)
    response = torch.cat(
        [torch.arange(len(ids)) >= scene[0]["input_ids"].shape[1] for ids, scene in zip(rows, scenes, strict=True)]
    )
    inputs = {name: torch.cat([prompt[name] for prompt, *_ in scenes]) for name in ("pixel_values", "image_grid_thw")}
    ids, where = torch.cat(rows)[None], torch.cat(positions, dim=2)
    with torch.no_grad(), kawhi.capture(model, heads=HEADS) as seen:
        model(input_ids=ids, position_ids=where, mm_token_type_ids=(ids == token).int(), use_cache=False, **inputs)
    alpha = seen.packed_alpha(response, starts, [scene[2] for scene in scenes])
    assert torch.equal(alpha != 0, response)
    expected = torch.cat([scene[3] for scene in scenes])
    torch.testing.assert_close(alpha[response], expected, atol=1e-6, rtol=0)
    with pytest.raises(RuntimeError, match="packed sequences of 7 tokens need one pass of one row of input_ids"):
        seen.packed_alpha(torch.ones(7), torch.tensor([0, 7]))


def test_a_model_that_is_given_embeddings_needs_to_be_told_the_tokens(inspector, scenes):
    """Some trainers embed images and text themselves."""
    inputs, mask = padded(scenes, inspector.model.config.image_token_id)
    model, selected = inspector.model, [scene[2] for scene in scenes]
    with torch.no_grad():
        embedded = model.get_input_embeddings()(inputs["input_ids"])
        with kawhi.capture(model, heads=HEADS) as seen:
            model(inputs_embeds=embedded, attention_mask=inputs["attention_mask"])
    with pytest.raises(RuntimeError, match="was given no input_ids, or others"):
        seen.alpha(mask, selected)
    with pytest.raises(RuntimeError, match="was given no input_ids, or others"):
        seen.alpha(mask, selected, inputs["input_ids"][:, 1:])
    assert torch.equal(seen.alpha(mask, selected, inputs["input_ids"]) != 0, mask)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_pass_with_gradients_keeps_them_and_alpha_has_none(inspector, scenes, checkpointing):
    """Also where layers are run again in the backward pass."""
    inputs, mask = padded(scenes, inspector.model.config.image_token_id)
    inspector.model.zero_grad()
    expected = inspector.model(**inputs).logits
    if checkpointing:
        inspector.model.train().gradient_checkpointing_enable()
    with kawhi.capture(inspector.model, heads=HEADS) as seen:
        logits = inspector.model(**inputs).logits
    assert torch.equal(logits, expected)
    alpha = seen.alpha(mask, [scene[2] for scene in scenes])
    expect(alpha, mask, scenes)
    assert not alpha.requires_grad
    logits.sum().backward()
    assert inspector.model.lm_head.weight.grad is not None
    assert torch.equal(seen.alpha(mask, [scene[2] for scene in scenes]), alpha)
    inspector.model.zero_grad()
    inspector.model.eval().gradient_checkpointing_disable()


def test_a_wrapped_model_is_looked_through(inspector, scenes):
    class Wrapper(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, **inputs):
            return self.module(**inputs)

    inputs, mask = padded(scenes, inspector.model.config.image_token_id)
    wrapped = Wrapper(inspector.model)
    with torch.no_grad(), kawhi.capture(wrapped, heads=HEADS) as seen:
        wrapped(**inputs)
    expect(seen.alpha(mask, [scene[2] for scene in scenes]), mask, scenes)


def test_statistics_of_attention_see_no_padding(inspector, scenes):
    """A softmax over keys of padding would be another one."""
    inputs, mask = padded(scenes, inspector.model.config.image_token_id)
    options = {"heads": [0, 3], "statistic": "attention_mass", "query_position": "predicting"}
    with torch.no_grad(), kawhi.capture(inspector.model, **options) as seen:
        inspector.model(**inputs)
    found = seen.alpha(mask, [scene[2] for scene in scenes])
    alone = Inspector(str(CHECKPOINTS / inspector.model.config.model_type), AlignmentOptions(**options))
    looks = [alone.look(scene[0], scene[1]).alpha(scene[2]) for scene in scenes]
    torch.testing.assert_close(found[mask], torch.cat(looks), atol=1e-6, rtol=0)


def test_the_model_is_left_as_it_was(inspector, scenes):
    def hooks():
        modules = inspector.model.modules()
        return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in modules)

    inputs, _ = padded(scenes, inspector.model.config.image_token_id)
    before = hooks()
    with torch.no_grad(), kawhi.capture(inspector.model) as seen:
        assert hooks() > before
        inspector.model(**inputs)
    assert hooks() == before
    inspector.model(**inputs)  # not seen
    assert len(seen) == 1
    with pytest.raises(ZeroDivisionError), kawhi.capture(inspector.model):
        _ = 1 / 0
    assert hooks() == before


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"heads": [0, 4]}, r"heads=\[0, 4\]: the model has 4 query heads"),
        ({"layer": 9}, "layer=9: the model has 4 decoder layers"),
        ({"metric": "cosine"}, "unknown metric 'cosine'"),
    ],
)
def test_what_the_model_does_not_have_is_said_at_once(inspector, options, problem):
    with pytest.raises(ValueError, match=problem), kawhi.capture(inspector.model, **options):
        pass


def test_mistakes_of_the_caller_are_sentences(inspector, scenes):
    inputs, mask = padded(scenes, inspector.model.config.image_token_id)
    with kawhi.capture(inspector.model) as seen, torch.no_grad():
        with pytest.raises(RuntimeError, match="3 responses for 0 passes of 0 rows: run the model first"):
            seen.alpha(mask)
        inspector.model(**inputs)
    with pytest.raises(RuntimeError, match="2 responses for 1 passes of 3 rows"):
        seen.alpha(mask[:2])
    with pytest.raises(ValueError, match="2 selections for 3 rows: each row needs its own"):
        seen.alpha(mask, [[0], [1]])
    with pytest.raises(ValueError, match="row 1 has 36 visual tokens, and 36 is selected"):
        seen.alpha(mask, [[0], [36], [1]])
