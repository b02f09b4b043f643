"""What must not change the regions of an image: its orientation, its brightness, the processor's threads."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import rotate

from kawhi.regions.sguf import sguf, structure_eigenvalues
from tests.regions.pictures import blocks

SEEDS = st.integers(0, 2**32 - 1)
SYMMETRIES = {
    "quarter turn": np.rot90,
    "half turn": lambda image: np.rot90(image, 2),
    "three quarters": lambda image: np.rot90(image, 3),
    "upside down": np.flipud,
    "mirrored": np.fliplr,
    "transposed": lambda image: np.swapaxes(image, 0, 1),
}


@pytest.mark.parametrize("name", SYMMETRIES)
@given(seed=SEEDS, rows=st.integers(1, 4), columns=st.integers(1, 4))
def test_turning_or_mirroring_an_image_permutes_its_regions(name, seed, rows, columns):
    move = SYMMETRIES[name]
    image = blocks(seed, rows, columns, 8)
    upright, moved = sguf(image, 8), sguf(move(image), 8)
    # Components are numbered by a row-major scan, so the numbers differ: the two partitions must match one to one.
    pairs = set(zip(move(upright.labels).ravel().tolist(), moved.labels.ravel().tolist(), strict=True))
    assert len(pairs) == len(upright.energy) == len(moved.energy)
    for before, after in pairs:
        assert moved.energy[after] == pytest.approx(upright.energy[before], rel=1e-9, abs=1e-9)
        assert moved.is_key[after] == upright.is_key[before]
    np.testing.assert_allclose(moved.eigenvalues, move(upright.eigenvalues), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moved.luminance, move(upright.luminance), rtol=1e-9, atol=1e-9)
    assert moved.threshold == pytest.approx(upright.threshold, rel=1e-9, abs=1e-9)
    np.testing.assert_array_equal(moved.key_tokens, move(upright.key_tokens))


@given(st.floats(0, 180), st.floats(4, 12))
@settings(max_examples=10)
def test_eigenvalues_do_not_depend_on_the_direction_of_an_edge(angle, wavelength):
    wave = np.tile(50 + 40 * np.sin(2 * np.pi * np.arange(64) / wavelength), (64, 1))
    turned = rotate(wave, angle, reshape=False, order=3, mode="mirror")
    straight, skewed = (structure_eigenvalues(level[16:48, 16:48].copy(), 32)[0, 0] for level in (wave, turned))
    # Sobel is nearly, not exactly, isotropic.
    assert skewed[0] == pytest.approx(straight[0], rel=0.25)
    assert skewed[1] < 0.1 * skewed[0]


@given(SEEDS, st.floats(-50, 50))
def test_luminance_offset_leaves_eigenvalues_unchanged(seed, offset):
    noise = np.random.default_rng(seed).uniform(0, 100, (24, 16))
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.0)
    before, after = structure_eigenvalues(smooth, 8), structure_eigenvalues(smooth + offset, 8)
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9)


@given(SEEDS, st.floats(0.1, 10))
def test_contrast_scales_eigenvalues_by_its_square(seed, contrast):
    smooth = np.random.default_rng(seed).uniform(0, 100, (16, 24))
    before, after = structure_eigenvalues(smooth, 8), structure_eigenvalues(contrast * smooth, 8)
    np.testing.assert_allclose(after, contrast**2 * before, rtol=1e-9, atol=1e-9)


def test_a_pattern_fills_a_large_patch_as_it_fills_a_small_one():
    # Equation 6: the mean over the patch, not the sum.
    wave = np.tile(50 + 40 * np.sin(2 * np.pi * np.arange(64) / 8), (64, 1))
    small, large = structure_eigenvalues(wave, 16), structure_eigenvalues(wave, 32)
    np.testing.assert_allclose(small[1, 1], large[0, 0], rtol=0.1)


@pytest.fixture
def threads():
    """Sets the number of OpenCV's threads, and sets it back afterwards."""
    before = cv2.getNumThreads()
    yield cv2.setNumThreads
    cv2.setNumThreads(before)


def test_the_number_of_threads_changes_no_bit(threads):
    image = np.random.default_rng(0).integers(0, 256, (336, 448, 3), dtype=np.uint8)
    maps = []
    for count in (1, 2, 4):
        threads(count)
        maps.append(sguf(image, 28))
    for other in maps[1:]:
        for name, value in vars(maps[0]).items():
            np.testing.assert_array_equal(getattr(other, name), value)
