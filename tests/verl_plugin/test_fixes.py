"""Corrections of verl, and proof that each is still needed."""

import pytest
import torch
from tensordict import TensorDict

from kawhi.tiny.architectures import build_model
from kawhi.verl_plugin.verl_fixes import (
    STOCK_INPUT_EMBEDS,
    STOCK_POSITION_IDS,
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


def test_no_position_ids_is_fine():
    split_position_ids(TensorDict({}, batch_size=2))
