"""Equation 11's selection and the four strategies of the region-selection ablation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kawhi.regions.selectors import STRATEGIES, select_tokens
from kawhi.regions.sguf import RegionMap
from tests.reference.sguf import kept_tokens


@st.composite
def region_maps(draw) -> RegionMap:
    """Arbitrary labels: the selectors do not care whether a component is connected."""
    rows, columns, count = draw(st.integers(1, 8)), draw(st.integers(1, 8)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    _, labels = np.unique(rng.integers(0, count, rows * columns), return_inverse=True)
    labels = labels.reshape(rows, columns)
    is_key = rng.random(labels.max() + 1) < 0.5
    zeros = np.zeros((rows, columns))
    return RegionMap(labels, is_key.astype(float), is_key, np.zeros((rows, columns, 2)), zeros, 0.5)


RATIOS = st.sampled_from(["0", "0.25", "0.5", "0.7", "0.75", "1"])
SEEDS = st.integers(0, 1000)


@given(region_maps(), RATIOS, SEEDS)
def test_sguf_keeps_key_regions_and_samples_each_background_region(region_map, ratio, seed):
    chosen = np.zeros(region_map.labels.size, bool)
    chosen[select_tokens(region_map, "sguf", float(ratio), seed)] = True
    for component, key in enumerate(region_map.is_key):
        inside = chosen[region_map.labels.ravel() == component]
        assert inside.sum() == (inside.size if key else kept_tokens(inside.size, ratio))


@given(region_maps(), RATIOS, SEEDS)
def test_inverse_swaps_the_roles(region_map, ratio, seed):
    swapped = RegionMap(
        region_map.labels,
        region_map.energy,
        ~region_map.is_key,
        region_map.eigenvalues,
        region_map.luminance,
        region_map.threshold,
    )
    inverse = select_tokens(region_map, "inverse", float(ratio), seed)
    np.testing.assert_array_equal(inverse, select_tokens(swapped, "sguf", float(ratio), seed))
    background = np.flatnonzero(~region_map.key_tokens.ravel())
    assert np.isin(background, inverse).all()


@given(region_maps(), RATIOS, SEEDS)
def test_random_draws_as_many_as_sguf(region_map, ratio, seed):
    by_chance = select_tokens(region_map, "random", float(ratio), seed)
    assert len(by_chance) == len(select_tokens(region_map, "sguf", float(ratio), seed))


def test_random_reaches_the_whole_grid():
    is_key = np.array([True, False])
    labels = np.array([[0] * 4, [1] * 4])
    region_map = RegionMap(labels, is_key.astype(float), is_key, np.zeros((2, 4, 2)), np.zeros((2, 4)), 0.5)
    seen = {int(token) for seed in range(50) for token in select_tokens(region_map, "random", 1.0, seed)}
    assert seen == set(range(8))


@given(region_maps(), RATIOS, SEEDS)
def test_all_ignores_regions_and_ratio(region_map, ratio, seed):
    everything = select_tokens(region_map, "all", float(ratio), seed)
    assert everything.tolist() == list(range(region_map.labels.size))


@given(region_maps(), st.sampled_from(STRATEGIES), RATIOS, SEEDS)
def test_sorted_unique_reproducible(region_map, strategy, ratio, seed):
    tokens = select_tokens(region_map, strategy, float(ratio), seed)
    assert (np.diff(tokens) > 0).all()
    assert len(tokens) == 0 or (tokens[0] >= 0 and tokens[-1] < region_map.labels.size)
    np.testing.assert_array_equal(tokens, select_tokens(region_map, strategy, float(ratio), seed))


@pytest.mark.parametrize("strategy", ["sguf", "random", "inverse"])
def test_the_seed_changes_the_sample(strategy):
    is_key = np.array([True, False])
    labels = np.array([[0] * 20, [1] * 20])
    region_map = RegionMap(labels, is_key.astype(float), is_key, np.zeros((2, 20, 2)), np.zeros((2, 20)), 0.5)
    samples = {tuple(select_tokens(region_map, strategy, 0.7, seed)) for seed in range(5)}
    assert len(samples) > 1


def test_an_unknown_strategy_lists_the_known_ones():
    region_map = RegionMap(
        np.zeros((1, 1), int), np.zeros(1), np.zeros(1, bool), np.zeros((1, 1, 2)), np.zeros((1, 1)), 0
    )
    with pytest.raises(ValueError, match="unknown region selection 'key'; choose one of sguf, all, random, inverse"):
        select_tokens(region_map, "key")
    for ratio in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"skip_ratio must lie in \[0, 1\]"):
            select_tokens(region_map, "sguf", ratio)
