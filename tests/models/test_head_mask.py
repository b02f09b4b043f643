"""A masked head says nothing in any layer; the model is whole again afterwards."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

from kawhi.models.head_mask import masked_heads
from kawhi.tiny.architectures import QUERY_HEADS, build_model
from kawhi.tiny.batching import Batcher
from kawhi.tiny.reading_heads import CHECKPOINTS, digit_accuracy
from kawhi.tiny.world import problems


@pytest.fixture
def model(family, tokenizer):
    return build_model(family, tokenizer, seed=1).eval()


@pytest.fixture
def inputs(family, tokenizer):
    chosen = list(islice(problems("train", seed=0), 2))
    return Batcher(family, tokenizer).supervised(chosen, [problem.short for problem in chosen])[0]


@torch.no_grad()
def test_a_masked_head_is_a_head_with_no_way_out(model, inputs):
    whole = model(**inputs).logits
    with masked_heads(model, [1, 3]):
        masked = model(**inputs).logits
    assert torch.equal(model(**inputs).logits, whole)
    assert not torch.allclose(masked, whole, atol=1e-3)
    for layer in model.model.language_model.layers:
        weight = layer.self_attn.o_proj.weight.data.view(-1, QUERY_HEADS, layer.self_attn.head_dim)
        weight[:, [1, 3]] = 0
    torch.testing.assert_close(model(**inputs).logits, masked)


@torch.no_grad()
def test_masking_nothing_changes_nothing(model, inputs):
    whole = model(**inputs).logits
    with masked_heads(model, []):
        assert torch.equal(model(**inputs).logits, whole)


def test_a_head_that_is_not_there_is_refused(model):
    with pytest.raises(ValueError, match=r"heads \[4\] are not a choice out of 4"), masked_heads(model, [4]):
        pass


@pytest.mark.slow
def test_the_shipped_models_need_the_heads_that_conf_calls_critical(family, tmp_path):
    from tests.cells import cell

    accuracy = digit_accuracy(family, CHECKPOINTS / family, 100)
    whole = accuracy.pop(None)
    assert whole > 0.8
    worst = sorted(accuracy, key=accuracy.__getitem__)[:2]
    assert sorted(worst) == list(cell(tmp_path, f"model=tiny_{family}").model.critical_heads)
