"""The linear form of equations 12-13 against the explicit T x N_s matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kawhi.credit.alignment import AlignmentOptions, packed_alignment, packed_head_alignment, vision_alignment
from tests.reference.alignment import alignment as literal_alignment
from tests.reference.alignment import head_alignment, key_key_alignment

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


@given(SEEDS, SIZES, st.none() | st.lists(st.integers(0, 5), min_size=1, max_size=9))
def test_each_head_equals_the_equations_in_every_sequence(seed, sizes, heads):
    queries, query_sequence, keys, key_sequence = packed(seed, sizes, key_heads=2, group=3)
    by_head = packed_head_alignment(queries, query_sequence, keys, key_sequence, len(sizes), heads)
    assert by_head.shape == (len(queries), 6 if heads is None else len(heads))
    assert by_head.dtype == torch.float32
    for sequence in range(len(sizes)):
        mine, its = query_sequence == sequence, key_sequence == sequence
        expected = head_alignment(queries[mine].numpy(), keys[its].numpy(), heads)
        np.testing.assert_allclose(by_head[mine].numpy(), expected, atol=1e-6)
        alone = torch.zeros(int(mine.sum()), dtype=torch.long), torch.zeros(int(its.sum()), dtype=torch.long)
        one = packed_head_alignment(queries[mine], alone[0], keys[its], alone[1], 1, heads)
        torch.testing.assert_close(by_head[mine], one, atol=1e-6, rtol=0)
    whole = packed_alignment(queries, query_sequence, keys, key_sequence, len(sizes), heads)
    torch.testing.assert_close(by_head.mean(dim=1), whole, atol=1e-6, rtol=0)


@given(SEEDS, st.integers(1, 3), st.integers(1, 3), st.integers(0, 4), st.data())
def test_key_key_equals_the_equations_with_query_heads_as_names(seed, key_heads, group, visual, data):
    own, keys = vectors(seed, 3, key_heads, 4), vectors(seed + 1, visual, key_heads, 4)
    total = key_heads * group
    heads = data.draw(st.none() | st.lists(st.integers(0, total - 1), min_size=1, max_size=5))
    alpha = vision_alignment(own, keys, heads, metric="key_key", query_heads=total)
    expected = key_key_alignment(own.numpy(), keys.numpy(), heads, total)
    np.testing.assert_allclose(alpha.numpy(), expected, atol=1e-6)
    # Where the heads of a group are all averaged over, it does not matter whether they are counted once or g times.
    whole = vision_alignment(own, keys, metric="key_key")
    np.testing.assert_allclose(whole.numpy(), key_key_alignment(own.numpy(), keys.numpy()), atol=1e-6)
    repeated = vision_alignment(own, keys, metric="key_key", query_heads=total)
    torch.testing.assert_close(repeated, whole, atol=1e-6, rtol=0)


@given(SEEDS, st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_averages_over_the_chosen_heads(seed, heads):
    queries, keys = vectors(seed, 3, 6, 4), vectors(seed + 1, 5, 2, 4)
    alpha = vision_alignment(queries, keys, heads)
    np.testing.assert_allclose(alpha.numpy(), literal_alignment(queries.numpy(), keys.numpy(), heads), atol=1e-6)


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


@given(SEEDS, SIZES, st.integers(0, 4))
def test_other_sequences_beside_it_change_nothing(seed, sizes, padding):
    queries, query_sequence, keys, key_sequence = packed(seed, sizes)
    alpha = packed_alignment(queries, query_sequence, keys, key_sequence, len(sizes))
    # Behind them a sequence of padding, and some sequences that have neither queries nor keys.
    extra = torch.full((padding,), len(sizes) + 1)
    padded = packed_alignment(
        torch.cat([queries, torch.zeros(padding, *queries.shape[1:])]),
        torch.cat([query_sequence, extra]),
        torch.cat([keys, vectors(seed + 2, padding, *keys.shape[1:])]),
        torch.cat([key_sequence, extra]),
        len(sizes) + 3,
    )
    torch.testing.assert_close(padded[: len(queries)], alpha, atol=1e-6, rtol=0)
    assert (padded[len(queries) :] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_long_sequences_are_read_whole_and_left_as_they_are(dtype):
    queries, query_sequence, keys, key_sequence = packed(0, [(900, 700), (0, 60), (700, 1100)], width=64)
    queries, keys = queries.to(dtype), keys.to(dtype)
    before = queries.clone(), keys.clone()
    alpha = packed_alignment(queries, query_sequence, keys, key_sequence, 3)
    assert queries.equal(before[0])
    assert keys.equal(before[1])
    for sequence in (0, 2):
        mine, its = queries[query_sequence == sequence], keys[key_sequence == sequence]
        # Equation 13 is a mean over visual tokens, so that of all is the mean of those of equal parts of them.
        by_part = [vision_alignment(mine, part) for part in its.split(100)]
        torch.testing.assert_close(alpha[query_sequence == sequence], sum(by_part) / len(by_part), atol=1e-6, rtol=0)
        by_part = [vision_alignment(part, its) for part in mine.split(100)]
        torch.testing.assert_close(alpha[query_sequence == sequence], torch.cat(by_part), atol=1e-6, rtol=0)


def test_states_that_carry_gradients_are_taken_and_the_result_carries_none():
    queries, keys = vectors(0, 3, 4, 5).requires_grad_(), vectors(1, 4, 2, 5).requires_grad_()
    alpha = vision_alignment(queries, keys)
    assert not alpha.requires_grad
    torch.testing.assert_close(alpha, vision_alignment(queries.detach(), keys.detach()))


def test_a_broken_vector_stays_in_its_sequence():
    queries, query_sequence, keys, key_sequence = packed(0, [(2, 3), (2, 3), (2, 3)])
    expected = packed_alignment(queries, query_sequence, keys, key_sequence, 3)
    queries[0, 0, 0] = float("nan")
    keys[8, 1, 0] = float("inf")
    alpha = packed_alignment(queries, query_sequence, keys, key_sequence, 3)
    assert alpha.isnan().tolist() == [True, False, False, False, True, True]
    torch.testing.assert_close(alpha[1:4], expected[1:4])


@given(SEEDS, st.floats(0.01, 100))
def test_is_a_cosine(seed, scale):
    queries, keys = vectors(seed, 4, 4, 3), vectors(seed + 1, 2, 2, 3)
    alpha = vision_alignment(queries, keys)
    assert alpha.abs().max() <= 1 + 1e-6
    torch.testing.assert_close(vision_alignment(queries * scale, keys / scale), alpha, atol=1e-5, rtol=0)
    torch.testing.assert_close(vision_alignment(-queries, keys), -alpha)


def test_without_keys_or_with_zero_vectors_alpha_is_zero():
    queries = vectors(0, 3, 4, 5)
    assert vision_alignment(queries[:0], vectors(1, 2, 2, 5)).shape == (0,)
    assert vision_alignment(queries.numpy(), np.zeros((0, 2, 5), np.float32)).tolist() == [0.0, 0.0, 0.0]
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


def test_one_zero_vector_among_others_counts_as_cosine_zero():
    queries, keys = vectors(0, 3, 4, 5), vectors(1, 4, 2, 5)
    queries[1, 2] = 0
    keys[[0, 3], 1] = 0
    expected = literal_alignment(queries.numpy(), keys.numpy())
    np.testing.assert_allclose(vision_alignment(queries, keys).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_takes_numpy_arrays_of_any_layout(dtype):
    queries, keys = vectors(0, 3, 4, 8).numpy().astype(dtype), vectors(1, 6, 2, 8).numpy().astype(dtype)
    expected = literal_alignment(queries, keys)
    for layout in (np.ascontiguousarray, np.asfortranarray):
        np.testing.assert_allclose(vision_alignment(layout(queries), layout(keys)).numpy(), expected, atol=1e-6)
    heads_first = torch.from_numpy(queries).transpose(0, 1).contiguous().transpose(0, 1)
    np.testing.assert_allclose(vision_alignment(heads_first, keys).numpy(), expected, atol=1e-6)


@given(SEEDS, st.sampled_from([4, 64]))
def test_bfloat16_is_within_a_hundredth_of_float64(seed, width):
    rng = np.random.default_rng(seed)
    queries, keys = rng.normal(size=(4, 4, width)), rng.normal(size=(5, 2, width))
    alpha = vision_alignment(torch.from_numpy(queries).bfloat16(), torch.from_numpy(keys).bfloat16())
    np.testing.assert_allclose(alpha.numpy(), literal_alignment(queries, keys), atol=1e-2)


def test_the_number_of_threads_changes_nothing(with_threads):
    batch = packed(0, [(700, 200), (300, 0), (500, 300)], key_heads=2, group=4, width=64)
    first, *others = with_threads((1, 2, 4), lambda: packed_alignment(*batch, 3))
    for other in others:
        torch.testing.assert_close(other, first, atol=1e-6, rtol=0)


def test_refuses_tensors_that_do_not_belong_together():
    queries, query_sequence, keys, key_sequence = packed(0, [(2, 3), (2, 2)])
    with pytest.raises(ValueError, match="4 queries with 1 sequence numbers, 5 keys with 5"):
        packed_alignment(queries, query_sequence[:1], keys, key_sequence, 2)
    with pytest.raises(ValueError, match="4 queries with 4 sequence numbers, 5 keys with 4"):
        packed_head_alignment(queries, query_sequence, keys, key_sequence[1:], 2)
    for bad_queries, bad_keys in ((queries[:, 0], keys), (queries, keys[:, 0]), (queries[None], keys[None])):
        with pytest.raises(ValueError, match=r"queries \(.*\) and keys \(.*\) must be \(tokens, heads, width\)"):
            vision_alignment(bad_queries, bad_keys)


KEY_KEY = {"metric": "key_key", "query_heads": 4}


@pytest.mark.parametrize(
    ("queries", "keys", "options", "message"),
    [
        ((2, 4, 4), (2, 2, 4), {"metric": "cosine"}, "unknown metric 'cosine'; choose one of key_query, key_key"),
        ((2, 4, 4), (2, 2, 4), {"query_heads": 8}, "key_query: .* do not fit grouped attention of 8 heads"),
        # Keys in the place of queries.
        ((2, 2, 4), (2, 2, 4), {"query_heads": 4}, "key_query: .* do not fit grouped attention of 4 heads"),
        ((2, 1, 4), (2, 2, 4), KEY_KEY, "key_key: .* do not fit grouped attention of 4 heads"),
        ((2, 3, 4), (2, 2, 4), KEY_KEY, "key_key: .* do not fit grouped attention of 4 heads"),
        ((2, 2, 4), (2, 2, 4), {"heads": [4], **KEY_KEY}, r"heads \[4\] are not a choice out of 4 query heads"),
        ((2, 4, 4), (2, 0, 4), {}, "do not fit grouped attention of 4 heads"),
        ((2, 3, 4), (2, 2, 4), {}, r"\(2, 3, 4\) and \(2, 2, 4\) do not fit grouped attention of 3 heads"),
        ((2, 4, 4), (2, 2, 5), {}, "do not fit grouped attention"),
        *(
            ((2, 4, 4), (2, 2, 4), {"heads": heads}, "are not a choice out of 4 query heads")
            for heads in ([], [4], [-1], [0, 9])
        ),
    ],
)
def test_refuses_metrics_shapes_and_heads_that_do_not_fit(queries, keys, options, message):
    with pytest.raises(ValueError, match=message):
        vision_alignment(torch.ones(queries), torch.ones(keys), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "value"}, "unknown metric 'value'; choose one of key_query, key_key"),
        ({"rope": "never"}, "unknown rope 'never'; choose one of after, before"),
        ({"query_position": "next"}, "unknown query_position 'next'; choose one of token, predicting"),
        ({"heads": []}, r"heads must be null for all or a list of head indices, not \[\]"),
        ({"heads": [0, -1]}, r"not \[0, -1\]"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AlignmentOptions(**options)
