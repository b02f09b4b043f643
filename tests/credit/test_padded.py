"""Padded forms are the packed ones, row by row."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import kawhi
from tests.credit.tokens import encode

TEXTS = ["One.\n\nTwo is here.\n\nThree.", "Nothing", "A.\n\nB."]


def batch(tokenizer):
    rows = [torch.tensor(encode(tokenizer, text)) for text in TEXTS]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return rows, ids, mask


@pytest.mark.parametrize("granularity", ["paragraph", "sentence", "token"])
def test_segments(tokenizer, granularity):
    rows, ids, mask = batch(tokenizer)
    found = kawhi.padded_segments(ids, mask, tokenizer, granularity)
    assert bool((found[mask == 0] == -1).all())
    for row, own, length in zip(rows, found, mask.sum(dim=1).tolist(), strict=True):
        assert own[:length].tolist() == kawhi.segment_response(row, tokenizer, granularity).tolist()


@given(st.integers(0, 2**31), st.sampled_from(["paper", "mean_one", "constant"]))
def test_weights(tokenizer, seed, normalize):
    """Also where the mask has holes, as behind a tool's answer."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(4, 9, generator=generator) < 0.7
    alpha = torch.rand(4, 9, generator=generator)
    segments = (torch.rand(4, 9, generator=generator) < 0.3).long().cumsum(dim=1)
    found = kawhi.padded_paragraph_weights(alpha, segments, mask, normalize=normalize)
    assert found.dtype == torch.float32
    assert bool((found[~mask] == 0).all())
    for row in range(4):
        own = mask[row]
        expected = kawhi.paragraph_weights(alpha[row][own], segments[row][own], normalize=normalize)
        torch.testing.assert_close(found[row][own], expected)


def test_the_defaults_of_all_three_forms_are_the_same():
    alpha, segments = torch.tensor([0.1, 0.5, 0.2]), torch.tensor([0, 1, 1])
    alone = kawhi.paragraph_weights(alpha, segments)
    assert torch.equal(kawhi.packed_paragraph_weights(alpha, segments, torch.tensor([0, 3])), alone)
    assert torch.equal(kawhi.padded_paragraph_weights(alpha[None], segments[None], torch.ones(1, 3))[0], alone)


def test_a_mask_of_another_shape_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"a mask of \(1, 3\) for \(1, 2\): both must be the same \(B, T\)"):
        kawhi.padded_segments(torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 3), tokenizer)
