"""Statistics of attention are those of the model's own attention weights, at the published numbers of heads."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from kawhi.credit.alignment import AlignmentOptions, Statistic
from kawhi.credit.statistics import Vectors, packed_head_statistic
from kawhi.models.attention_capture import AttentionCapture
from kawhi.models.inspection import Inspector
from kawhi.tiny.architectures import FAMILIES, LAYERS
from kawhi.tiny.reading_heads import CHECKPOINTS
from kawhi.tiny.world import problems
from tests.models.real_heads import packed, real_heads, sequences, single
from tests.reference.alignment import head_statistic

HEADS = [0, 1, 3, 22, 23, 26, 27]


@pytest.fixture(scope="module")
def scenes(tokenizer):
    """Of each family three sequences, and the attention weights of the eager model for each of them by itself."""
    made = {}

    @torch.no_grad()
    def make(family):
        if family not in made:
            model, batch = real_heads(family, tokenizer), sequences(family, tokenizer)
            ones = [single(batch, i) for i in range(len(batch.lengths))]
            weights = [model(**one, output_attentions=True).attentions for one in ones]
            made[family] = model, batch, weights
        return made[family]

    return make


@torch.no_grad()
def captured(model, batch, layout: str, layer, heads):
    """Queries of all response tokens, keys of all tokens, and which of them are selected, of one pass."""
    real = batch.inputs["attention_mask"].bool()
    each = torch.arange(len(real))[:, None].expand_as(real)
    response, visual, sequence, inputs = batch.response, batch.visual, each, batch.inputs
    if layout == "packed":
        inputs = packed(model, batch)
        response, visual, sequence = (x[real][None] for x in (response, visual, each))
        real = torch.ones_like(response)
    rows = torch.nonzero(real.flatten())[:, 0]
    asking = torch.nonzero(response.flatten())[:, 0]
    capture = AttentionCapture(model, layer)
    capture.arm()
    model(**inputs, use_cache=False)
    taken = capture.take(asking, rows, heads=heads)
    selected = visual.flatten()[rows] & (torch.arange(len(rows)) % 3 != 0)
    owner = sequence.flatten()
    return Vectors(taken.queries, owner[asking], asking), Vectors(taken.keys, owner[rows], rows), selected


@pytest.mark.parametrize("layer", ["last", 0, -2])
@pytest.mark.parametrize("layout", ["packed", "padded"])
@pytest.mark.parametrize("heads", [None, HEADS])
def test_a_batch_gives_what_the_model_s_own_weights_give(scenes, family, layout, layer, heads):
    model, batch, weights = scenes(family)
    queries, keys, selected = captured(model, batch, layout, layer, heads)
    for statistic in ("attention_mass", "max_attention"):
        found = packed_head_statistic(statistic, queries, keys, len(batch.lengths), selected=selected)
        for i, length in enumerate(batch.lengths):
            own = weights[i][-1 if layer == "last" else layer][0]  # (H, S, S)
            shares = own[:, batch.response[i, :length]][..., selected[keys.sequence == i]]
            expected = shares.sum(dim=-1) if statistic == "attention_mass" else shares.amax(dim=-1)
            expected = expected if heads is None else expected[heads]
            torch.testing.assert_close(found[queries.sequence == i], expected.T, atol=1e-6, rtol=1e-5)
            assert expected.std() > 1e-4  # tokens differ, so the comparison means something


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_a_batch_gives_what_the_loops_give(scenes, family, layout):
    model, batch, _ = scenes(family)
    queries, keys, selected = captured(model, batch, layout, "last", None)
    last = len(batch.lengths) - 1
    for statistic in ("max_cosine", "attention_mass", "max_attention"):
        found = packed_head_statistic(statistic, queries, keys, last + 1, [3, 27], selected=selected)
        for sequence in (0, last):
            mine, its = (torch.nonzero(each.sequence == sequence)[:, 0] for each in (queries, keys))
            mine = mine[:2]
            expected = head_statistic(
                statistic,
                queries.states[mine].numpy(),
                queries.position[mine].tolist(),
                keys.states[its].numpy(),
                keys.position[its].tolist(),
                selected[its].tolist(),
                [3, 27],
            )
            np.testing.assert_allclose(found[mine].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("layer", [2, -3])
def test_a_layer_that_is_not_there_is_refused(scenes, family, layer):
    with pytest.raises(ValueError, match=r"kawhi\.alignment\.layer=-?[23]: the model has 2 decoder layers, 0 to 1"):
        AttentionCapture(scenes(family)[0], layer)


@pytest.fixture(scope="module")
def looks():
    """A worked answer seen by the shipped models, in all layers and with the weights of the eager model."""

    def make(family, query_position):
        inspector = Inspector(str(CHECKPOINTS / family), AlignmentOptions(query_position=query_position))
        problem = next(problems("heldout", 0))
        prompt = inspector.prompt(problem.drawing.render(FAMILIES[family].image_size), problem.question)
        response = [*inspector.tokenizer(problem.worked)["input_ids"], inspector.tokenizer.eos_token_id]
        found = inspector.looks(prompt, response, range(inspector.layers))
        inspector.model.set_attn_implementation("eager")
        ids = torch.cat([prompt["input_ids"][0], torch.tensor(response)])
        more = {"input_ids": ids[None], "attention_mask": torch.ones_like(ids)[None]}
        more["mm_token_type_ids"] = (ids == inspector.model.config.image_token_id).int()[None]
        with torch.no_grad():
            weights = inspector.model(**prompt | more, output_attentions=True).attentions
        return found, weights, prompt["input_ids"].shape[1]

    return make


@pytest.mark.parametrize("query_position", ["token", "predicting"])
def test_an_inspector_sees_every_layer_of_one_pass(looks, family, query_position):
    found, weights, start = looks(family, query_position)
    assert [*found] == [*range(LAYERS)]
    chosen = [3, 5, 17, 30]
    shift = int(query_position == "predicting")
    for layer, look in found.items():
        assert look.options.layer == layer
        asked = weights[layer][0][:, start - shift : weights[layer].shape[2] - shift]
        shares = asked[..., look.visual]
        torch.testing.assert_close(look.attention(), shares, atol=1e-5, rtol=1e-4)
        expected = {"attention_mass": shares[..., chosen].sum(-1), "max_attention": shares[..., chosen].amax(-1)}
        for name, its in expected.items():
            own = look.making(name)
            torch.testing.assert_close(own.head_alpha(chosen), its.T, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(own.alpha(chosen), its.T.mean(dim=1), atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(own.similarity(), shares.mean(dim=0), atol=1e-5, rtol=1e-4)


def test_statistics_of_one_look_are_apart(looks, family):
    look = looks(family, "token")[0][LAYERS - 1]
    chosen = list(range(0, 36, 3))
    alphas = {name: look.making(name).alpha(chosen) for name in get_args(Statistic)}
    assert (alphas["max_cosine"] >= alphas["mean_cosine"]).all()
    assert (alphas["attention_mass"] >= alphas["max_attention"]).all()
    assert all(alpha.std() > 1e-3 for alpha in alphas.values())
    assert all((making.alpha([]) == 0).all() for making in map(look.making, alphas))
