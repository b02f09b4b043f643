"""Equation 11's selection, the four strategies of the region-selection ablation, and VisionZip's choice."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kawhi.regions.selectors import STRATEGIES, select_attended, select_tokens
from kawhi.regions.sguf import RegionMap
from tests.reference.selectors import attended, kept_tokens


def made(labels: np.ndarray | list[list[int]], is_key: np.ndarray | list[bool]) -> RegionMap:
    """A map with these regions; the selectors ask for nothing else."""
    labels, is_key = np.asarray(labels), np.asarray(is_key)
    zeros = np.zeros(labels.shape)
    return RegionMap(labels, is_key.astype(float), is_key, np.stack([zeros, zeros], axis=-1), zeros, 0.5)


@st.composite
def region_maps(draw) -> RegionMap:
    """Arbitrary labels: the selectors do not care whether a component is connected."""
    rows, columns, count = draw(st.integers(1, 8)), draw(st.integers(1, 8)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    _, labels = np.unique(rng.integers(0, count, rows * columns), return_inverse=True)
    return made(labels.reshape(rows, columns), rng.random(labels.max() + 1) < 0.5)


RATIOS = st.sampled_from([0.0, 0.25, 0.5, 0.55, 0.7, 0.75, 0.9, 1.0])
SEEDS = st.integers(0, 1000)


@given(region_maps(), RATIOS, SEEDS)
def test_sguf_keeps_key_regions_and_samples_each_background_region(region_map, ratio, seed):
    chosen = np.zeros(region_map.labels.size, bool)
    chosen[select_tokens(region_map, "sguf", ratio, seed)] = True
    for component, key in enumerate(region_map.is_key):
        inside = chosen[region_map.labels.ravel() == component]
        assert inside.sum() == (inside.size if key else kept_tokens(inside.size, ratio))


@given(region_maps(), RATIOS, SEEDS)
def test_inverse_swaps_the_roles(region_map, ratio, seed):
    swapped = replace(region_map, is_key=~region_map.is_key)
    inverse = select_tokens(region_map, "inverse", ratio, seed)
    np.testing.assert_array_equal(inverse, select_tokens(swapped, "sguf", ratio, seed))
    background = np.flatnonzero(~region_map.key_tokens.ravel())
    assert np.isin(background, inverse).all()


def background(tokens: int) -> RegionMap:
    """One background region of so many tokens."""
    return made([[0] * tokens], [False])


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.55, 0.67, 0.7, 0.9, 0.91])
def test_every_size_of_region_keeps_its_share(ratio):
    for tokens in range(1, 120):
        assert len(select_tokens(background(tokens), "sguf", ratio)) == kept_tokens(tokens, ratio)


@given(region_maps(), RATIOS, SEEDS)
def test_random_draws_as_many_as_sguf(region_map, ratio, seed):
    by_chance = select_tokens(region_map, "random", ratio, seed)
    assert len(by_chance) == len(select_tokens(region_map, "sguf", ratio, seed))


def test_random_reaches_the_whole_grid():
    region_map = made([[0] * 4, [1] * 4], [True, False])
    seen = {int(token) for seed in range(50) for token in select_tokens(region_map, "random", 1.0, seed)}
    assert seen == set(range(8))


@given(region_maps(), RATIOS, SEEDS)
def test_all_ignores_regions_and_ratio(region_map, ratio, seed):
    everything = select_tokens(region_map, "all", ratio, seed)
    assert everything.tolist() == list(range(region_map.labels.size))


@given(region_maps(), st.sampled_from(STRATEGIES), RATIOS, SEEDS)
def test_sorted_unique_reproducible(region_map, strategy, ratio, seed):
    tokens = select_tokens(region_map, strategy, ratio, seed)
    assert tokens.dtype == np.int64
    assert (np.diff(tokens) > 0).all()
    assert len(tokens) == 0 or (tokens[0] >= 0 and tokens[-1] < region_map.labels.size)
    np.testing.assert_array_equal(tokens, select_tokens(region_map, strategy, ratio, seed))


@pytest.mark.parametrize("strategy", ["sguf", "random", "inverse"])
def test_the_seed_changes_the_sample(strategy):
    region_map = made([[0] * 20, [1] * 20], [True, False])
    samples = {tuple(select_tokens(region_map, strategy, 0.7, seed)) for seed in range(5)}
    assert len(samples) > 1


def test_an_unknown_strategy_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown region selection 'key'; choose one of sguf, all, random, inverse"):
        select_tokens(background(1), "key")
    for ratio in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=rf"skip_ratio must lie in \[0, 1\], got {ratio}"):
            select_tokens(background(1), "sguf", ratio)


PROGRAM = """
import hashlib
import numpy as np
from kawhi import select_tokens, sguf
regions = sguf(np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8), 8, energy_scale=1.0)
assert 0 < regions.is_key.sum() < len(regions.is_key)
chosen = [select_tokens(regions, strategy, 0.7, seed=5) for strategy in ("sguf", "random", "inverse", "all")]
print(hashlib.sha256(b"".join(tokens.tobytes() for tokens in chosen)).hexdigest())
"""


def test_a_seed_means_the_same_tokens_in_every_process():
    digests = set()
    for hash_seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout.strip())
    assert len(digests) == 1


# Few values, so that many tokens receive the same.
RECEIVED = st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.5, 1e-30, 3.0]), max_size=30)
KEEP = st.sampled_from([0.01, 0.29, 0.35, 0.5, 0.54, 0.9, 1.0])


@given(RECEIVED, KEEP)
@settings(max_examples=100)
def test_attended_tokens_are_those_that_receive_most(received, ratio):
    tokens = select_attended(np.array(received), ratio)
    assert tokens.dtype == np.int64
    assert tokens.tolist() == attended(received, ratio)


def test_halves_are_those_of_the_formula_in_floating_point():
    assert len(select_tokens(background(5), "sguf", 0.7)) == 2  # 1.5000000000000002
    assert len(select_tokens(background(5), "sguf", 0.9)) == 0  # 0.4999999999999999
    assert len(select_attended(np.zeros(50), 0.29)) == 14  # 14.499999999999998


@pytest.mark.parametrize(
    "received",
    [np.array([0, 1, 2], np.uint8), np.array([0, 1, 2], np.float16), torch.tensor([0.0, 1.0, 2.0]), [0, 1, 2]],
)
def test_attention_of_any_number_type_is_ranked(received):
    # The negative of an unsigned 0 is still the smallest: it must not rank first.
    assert select_attended(received, 0.34).tolist() == [2]


def test_attended_refuses_ratios_and_values_outside_their_range():
    for ratio in (0.0, -0.5, 1.01, float("nan")):
        with pytest.raises(ValueError, match=rf"keep_ratio must lie in \(0, 1\], got {ratio}"):
            select_attended(np.ones(3), ratio)
    for received in (np.ones((2, 2)), np.array(1.0), np.array([1.0, np.nan]), np.array([np.inf])):
        with pytest.raises(ValueError, match="one finite number per visual token"):
            select_attended(received)
