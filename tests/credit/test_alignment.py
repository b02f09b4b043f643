"""The linear form of equations 12-13 against the explicit T x N_s matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kawhi.credit.alignment import packed_alignment, vision_alignment
from tests.reference.alignment import alignment as literal_alignment

SEEDS = st.integers(0, 2**31)
SIZES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=4)


def vectors(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def packed(seed: int, sizes, key_heads: int = 2, group: int = 2, width: int = 5):
    """Queries, query_sequence, keys, key_sequence of sequences with the given (T, N)."""
    number = torch.arange(len(sizes))
    query_sequence = number.repeat_interleave(torch.tensor([t for t, _ in sizes]))
    key_sequence = number.repeat_interleave(torch.tensor([n for _, n in sizes]))
    queries = vectors(seed, len(query_sequence), key_heads * group, width)
    keys = vectors(seed + 1, len(key_sequence), key_heads, width)
    return queries, query_sequence, keys, key_sequence


@given(SEEDS, SIZES, st.integers(1, 3), st.integers(1, 3))
def test_equals_the_equations_in_every_sequence(seed, sizes, key_heads, group):
    queries, query_sequence, keys, key_sequence = packed(seed, sizes, key_heads, group)
    alpha = packed_alignment(queries, query_sequence, keys, key_sequence, len(sizes))
    for sequence in range(len(sizes)):
        mine = query_sequence == sequence
        expected = literal_alignment(queries[mine].numpy(), keys[key_sequence == sequence].numpy())
        np.testing.assert_allclose(alpha[mine].numpy(), expected, atol=1e-6)


@given(SEEDS, st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_averages_over_the_chosen_heads(seed, heads):
    queries, keys = vectors(seed, 3, 6, 4), vectors(seed + 1, 5, 2, 4)
    alpha = vision_alignment(queries, keys, heads)
    np.testing.assert_allclose(alpha.numpy(), literal_alignment(queries.numpy(), keys.numpy(), heads), atol=1e-6)


@given(SEEDS, st.integers(1, 4))
def test_grouped_heads_equal_repeated_keys(seed, group):
    queries, keys = vectors(seed, 4, 2 * group, 3), vectors(seed + 1, 6, 2, 3)
    grouped = vision_alignment(queries, keys)
    repeated = vision_alignment(queries, keys.repeat_interleave(group, dim=1))
    torch.testing.assert_close(grouped, repeated, atol=1e-6, rtol=0)


@given(SEEDS, SIZES)
def test_permuting_the_pack_changes_nothing(seed, sizes):
    queries, query_sequence, keys, key_sequence = packed(seed, sizes)
    alpha = packed_alignment(queries, query_sequence, keys, key_sequence, len(sizes))
    generator = torch.Generator().manual_seed(seed)
    q = torch.randperm(len(queries), generator=generator)
    k = torch.randperm(len(keys), generator=generator)
    names = torch.randperm(len(sizes), generator=generator)  # the sequences get other numbers, too
    shuffled = packed_alignment(queries[q], names[query_sequence[q]], keys[k], names[key_sequence[k]], len(sizes))
    torch.testing.assert_close(shuffled, alpha[q], atol=1e-6, rtol=0)


@given(SEEDS, SIZES)
def test_packing_equals_one_call_per_sequence(seed, sizes):
    queries, query_sequence, keys, key_sequence = packed(seed, sizes)
    alpha = packed_alignment(queries, query_sequence, keys, key_sequence, len(sizes), [0, 3])
    alone = [vision_alignment(queries[query_sequence == i], keys[key_sequence == i], [0, 3]) for i in range(len(sizes))]
    torch.testing.assert_close(alpha, torch.cat(alone), atol=1e-6, rtol=0)


@given(SEEDS, st.floats(0.01, 100))
def test_is_a_cosine(seed, scale):
    queries, keys = vectors(seed, 4, 4, 3), vectors(seed + 1, 2, 2, 3)
    alpha = vision_alignment(queries, keys)
    assert alpha.abs().max() <= 1 + 1e-6
    torch.testing.assert_close(vision_alignment(queries * scale, keys / scale), alpha, atol=1e-5, rtol=0)
    torch.testing.assert_close(vision_alignment(-queries, keys), -alpha)


def test_range_is_reached():
    ones = torch.ones(2, 4, 3)
    torch.testing.assert_close(vision_alignment(ones, 7 * torch.ones(5, 2, 3)), torch.ones(2))
    torch.testing.assert_close(vision_alignment(ones, -torch.ones(5, 2, 3)), -torch.ones(2))


def test_without_keys_or_with_zero_vectors_alpha_is_zero():
    queries = vectors(0, 3, 4, 5)
    assert vision_alignment(queries, torch.zeros(0, 2, 5)).tolist() == [0.0, 0.0, 0.0]
    assert vision_alignment(queries, torch.zeros(2, 2, 5)).tolist() == [0.0, 0.0, 0.0]
    assert vision_alignment(torch.zeros(1, 4, 5), vectors(1, 2, 2, 5)).tolist() == [0.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_computes_in_float32_whatever_comes_in(dtype):
    queries, keys = vectors(0, 3, 4, 8).to(dtype), vectors(1, 6, 2, 8).to(dtype)
    alpha = vision_alignment(queries, keys)
    assert alpha.dtype == torch.float32
    expected = literal_alignment(queries.double().numpy(), keys.double().numpy())
    np.testing.assert_allclose(alpha.numpy(), expected, atol=1e-6)


def test_refuses_shapes_and_heads_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(2, 3, 4\) and \(2, 2, 4\) do not fit grouped attention of 3 heads"):
        vision_alignment(torch.ones(2, 3, 4), torch.ones(2, 2, 4))
    with pytest.raises(ValueError, match="do not fit grouped attention"):
        vision_alignment(torch.ones(2, 4, 4), torch.ones(2, 2, 5))
    for heads in ([], [4], [-1], [0, 9]):
        with pytest.raises(ValueError, match="are not a choice out of 4 query heads"):
            vision_alignment(torch.ones(2, 4, 4), torch.ones(2, 2, 4), heads)
