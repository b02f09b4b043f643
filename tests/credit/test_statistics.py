"""The statistics beside equation 13's mean against loops over pairs of tokens."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kawhi.credit import statistics
from kawhi.credit.alignment import AlignmentOptions, Statistic, attends, packed_head_alignment
from kawhi.credit.statistics import Vectors, attention_shares, packed_head_statistic
from tests.reference.alignment import head_statistic

OTHERS = [each for each in get_args(Statistic) if each != "mean_cosine"]
SEEDS = st.integers(0, 2**31)
SIZES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=4)
"""Prompt and response of each sequence; a query is the state of a response token."""


def pack(seed: int, sizes, key_heads: int = 2, group: int = 2, width: int = 5, chosen: float = 0.5):
    """Queries of responses and keys of all tokens of some sequences, of whose prompts a part is selected."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([prompt + response for prompt, response in sizes])
    sequence = torch.arange(len(sizes)).repeat_interleave(lengths)
    position = torch.arange(int(lengths.sum()))
    start = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)[:-1]])
    prompt = torch.tensor([each for each, _ in sizes])
    in_response = position - start[sequence] >= prompt[sequence]
    queries = 2 * torch.randn(int(in_response.sum()), key_heads * group, width, generator=generator)
    keys = 2 * torch.randn(len(position), key_heads, width, generator=generator)
    selected = ~in_response & (torch.rand(len(position), generator=generator) < chosen)
    return Vectors(queries, sequence[in_response], position[in_response]), Vectors(keys, sequence, position), selected


def literal(statistic, queries: Vectors, keys: Vectors, selected, sequences: int, heads=None) -> np.ndarray:
    """Each sequence by itself."""
    count = queries.states.shape[1] if heads is None else len(heads)
    found = np.zeros((len(queries.states), count))
    for sequence in range(sequences):
        mine, its = queries.sequence == sequence, keys.sequence == sequence
        found[mine.numpy()] = head_statistic(
            statistic,
            queries.states[mine].double().numpy(),
            queries.position[mine].tolist(),
            keys.states[its].double().numpy(),
            keys.position[its].tolist(),
            selected[its].tolist(),
            heads,
        )
    return found


@given(SEEDS, SIZES, st.integers(1, 3), st.integers(1, 3), st.sampled_from(OTHERS), st.data())
def test_equals_the_loops_in_every_sequence(seed, sizes, key_heads, group, statistic, data):
    queries, keys, selected = pack(seed, sizes, key_heads, group)
    total = key_heads * group
    heads = data.draw(st.none() | st.lists(st.integers(0, total - 1), min_size=1, max_size=5))
    found = packed_head_statistic(statistic, queries, keys, len(sizes), heads, selected=selected)
    assert found.dtype == torch.float32
    expected = literal(statistic, queries, keys, selected, len(sizes), heads)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-6)


@pytest.mark.parametrize("statistic", OTHERS)
def test_blocks_of_rows_change_nothing(statistic, monkeypatch):
    sizes = [(9, 7), (0, 3), (12, 20), (5, 0)]
    queries, keys, selected = pack(0, sizes)
    whole = packed_head_statistic(statistic, queries, keys, len(sizes), selected=selected)
    monkeypatch.setattr(statistics, "_SCORES_ON_CPU", 300)
    parts = packed_head_statistic(statistic, queries, keys, len(sizes), selected=selected)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=0)
    assert whole[queries.sequence != 1].abs().min() > 0
    assert (whole[queries.sequence == 1] == 0).all()  # of a prompt without visual tokens


@given(SEEDS, SIZES, st.sampled_from(get_args(Statistic)))
def test_permuting_the_pack_changes_nothing(seed, sizes, statistic):
    queries, keys, selected = pack(seed, sizes)
    expected = packed_head_statistic(statistic, queries, keys, len(sizes), selected=selected)
    generator = torch.Generator().manual_seed(seed)
    q, k = (torch.randperm(len(each.states), generator=generator) for each in (queries, keys))
    found = packed_head_statistic(statistic, queries[q], keys[k], len(sizes), selected=selected[k])
    torch.testing.assert_close(found, expected[q], atol=2e-6, rtol=0)


@given(SEEDS, SIZES)
def test_shares_of_attention_are_shares(seed, sizes):
    queries, keys, selected = pack(seed, sizes)
    mass, largest = (
        packed_head_statistic(name, queries, keys, len(sizes), selected=selected)
        for name in ("attention_mass", "max_attention")
    )
    assert ((largest >= 0) & (largest <= mass + 1e-6) & (mass <= 1 + 1e-6)).all()
    whole = packed_head_statistic("attention_mass", queries, keys, len(sizes))
    torch.testing.assert_close(whole, torch.ones_like(whole), atol=1e-5, rtol=0)


@pytest.mark.parametrize("statistic", ["attention_mass", "max_attention"])
def test_what_comes_later_is_not_seen(statistic):
    queries, keys, selected = pack(3, [(6, 5)])
    found = packed_head_statistic(statistic, queries, keys, 1, selected=selected)
    keys.states[-1] += 100  # the key of the last token, which it alone sees
    again = packed_head_statistic(statistic, queries, keys, 1, selected=selected)
    torch.testing.assert_close(again[:-1], found[:-1], atol=0, rtol=0)
    assert not torch.allclose(again[-1], found[-1], atol=1e-4)


def test_the_mean_is_the_linear_form_to_the_last_bit():
    sizes = [(300, 200), (40, 60)]
    queries, keys, selected = pack(0, sizes, width=64)
    found = packed_head_statistic("mean_cosine", queries, keys, 2, [0, 3], selected=selected)
    own = queries.states, queries.sequence, keys.states[selected], keys.sequence[selected]
    assert torch.equal(found, packed_head_alignment(*own, 2, [0, 3]))


def test_the_largest_cosine_of_keys_with_keys_takes_query_heads_as_names():
    own, visual = torch.randn(3, 2, 4), torch.randn(5, 2, 4)
    rows = [torch.zeros(n, dtype=torch.long) for n in (3, 5)]
    queries, keys = (Vectors(each, row, row) for each, row in zip((own, visual), rows, strict=True))
    found = packed_head_statistic("max_cosine", queries, keys, 1, [0, 3], metric="key_key", query_heads=4)
    cosines = torch.nn.functional.cosine_similarity(own[:, None], visual[None], dim=-1).amax(dim=1)
    torch.testing.assert_close(found, cosines)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("statistic", OTHERS)
def test_computes_in_float32_whatever_comes_in(dtype, statistic):
    queries, keys, selected = pack(1, [(5, 4), (3, 2)])
    queries, keys = (Vectors(each.states.to(dtype), each.sequence, each.position) for each in (queries, keys))
    found = packed_head_statistic(statistic, queries, keys, 2, selected=selected)
    np.testing.assert_allclose(found.numpy(), literal(statistic, queries, keys, selected, 2), atol=2e-6)


def test_a_vector_of_zeros_has_cosine_zero():
    queries, keys, selected = pack(2, [(4, 3)], chosen=1.0)
    queries.states[1] = 0
    keys.states[:4] = -queries.states[0].view(2, 2, 5)[:, 0].clone()  # the first token's, turned around
    keys.states[2] = 0
    found = packed_head_statistic("max_cosine", queries, keys, 1, [0, 2], selected=selected)
    assert (found[0].abs().max(), found[1].abs().max()) == (0, 0)


def test_attention_of_a_sequence_is_shown_whole():
    queries, keys, selected = pack(4, [(6, 5)])
    shares = attention_shares(queries, keys)
    torch.testing.assert_close(shares.sum(dim=-1), torch.ones(4, 5))
    mass = packed_head_statistic("attention_mass", queries, keys, 1, selected=selected)
    torch.testing.assert_close(shares[..., selected].sum(dim=-1).T, mass)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistic": "mean"}, "unknown statistic 'mean'; choose one of mean_cosine, max_cosine, attention_mass"),
        ({"layer": "first"}, "layer must be last, a number from 0 or one from -2 .*, not 'first'"),
        ({"layer": -1}, "from -2 downwards that counts from the end, not -1"),
        ({"layer": True}, "counts from the end, not True"),
        ({"layer": None}, "counts from the end, not None"),
        ({"statistic": "max_attention", "metric": "key_key"}, "metric key_query and rope after, not key_key and after"),
        ({"statistic": "attention_mass", "rope": "before"}, "rope after, not key_query and before"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AlignmentOptions(**options)


def test_the_paper_is_the_default():
    assert (AlignmentOptions().statistic, AlignmentOptions().layer) == ("mean_cosine", "last")
    assert [attends(each) for each in get_args(Statistic)] == [False, False, True, True]
