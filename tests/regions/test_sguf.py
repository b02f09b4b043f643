"""SGUF against the literal equations, and the invariances the paper claims for it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import rotate

from kawhi.regions.sguf import luminance, sguf, structure_eigenvalues
from kawhi.tiny.world import problems
from tests.reference import sguf as reference

SEEDS = st.integers(0, 2**32 - 1)


def blocks(seed: int, rows: int, columns: int, patch_size: int) -> np.ndarray:
    """Flat, striped and noisy patches side by side, so that some merge and some do not."""
    rng = np.random.default_rng(seed)
    image = np.zeros((rows * patch_size, columns * patch_size, 3), np.uint8)
    for i in range(rows):
        for j in range(columns):
            patch = np.full((patch_size, patch_size, 3), rng.choice([0, 90, 240, 255]), np.int64)
            kind = rng.integers(4)
            if kind == 1:
                patch[:: rng.integers(2, 4)] = rng.integers(0, 256, 3)
            elif kind == 2:
                patch[:, :: rng.integers(2, 4)] = rng.integers(0, 256, 3)
            elif kind == 3:
                patch += rng.integers(-60, 60, patch.shape)
            where = (
                slice(i * patch_size, (i + 1) * patch_size),
                slice(j * patch_size, (j + 1) * patch_size),
            )
            image[where] = np.clip(patch, 0, 255)
    return image


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (0, {}),
        (1, {}),
        (2, {"structure_threshold": 0.9, "luminance_threshold": 15.0, "energy_scale": 1.0, "epsilon": 2000.0}),
    ],
)
def test_equals_the_equations(seed, options):
    image, patch_size = blocks(seed, 4, 3, 6), 6
    used = {"structure_threshold": 0.5, "luminance_threshold": 30.0, "energy_scale": 0.1, "epsilon": 1e-6} | options
    smooth = reference.gaussian_smooth(reference.cielab_lightness(image), sigma=1.0, radius=4)
    eigenvalues = reference.structure_eigenvalues(*reference.gradient(smooth), patch_size)
    lightness = reference.patch_mean(smooth, patch_size)
    thresholds = used["structure_threshold"], used["luminance_threshold"], used["epsilon"]
    labels = reference.components(eigenvalues, lightness, *thresholds)
    energy = reference.energies(labels, eigenvalues)
    tau = reference.energy_threshold(energy, used["energy_scale"])

    region_map = sguf(image, patch_size, **options)

    np.testing.assert_allclose(region_map.luminance, lightness, atol=1e-3)
    np.testing.assert_allclose(region_map.eigenvalues, eigenvalues, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(region_map.labels, labels)
    np.testing.assert_allclose(region_map.energy, energy, rtol=1e-4, atol=1e-3)
    assert region_map.threshold == pytest.approx(tau, rel=1e-4, abs=1e-4)
    assert region_map.is_key.tolist() == [e > tau for e in energy]
    assert 1 < len(energy) < labels.size  # the example both merges and keeps apart


def test_luminance_of_known_colours():
    # CIE 1976 lightness of the sRGB primaries, D65.
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(luminance(colours)[0], [0, 100, 53.24, 87.73, 32.30], atol=0.01)


@given(SEEDS)
def test_luminance_equals_the_pixelwise_formula(seed):
    image = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    np.testing.assert_allclose(luminance(image), reference.cielab_lightness(image), atol=1e-4)


@given(SEEDS, st.integers(1, 3))
def test_rotation_by_quarter_turns_permutes_the_regions(seed, turns):
    image = blocks(seed, 4, 3, 8)
    upright = sguf(image, 8)
    turned = sguf(np.ascontiguousarray(np.rot90(image, turns)), 8)
    expected = np.rot90(upright.labels, turns)
    # Components are numbered by a row-major scan, so the numbers differ: the two partitions must match one to one.
    pairs = set(zip(expected.ravel().tolist(), turned.labels.ravel().tolist(), strict=True))
    assert len(pairs) == len(upright.energy) == len(turned.energy)
    for before, after in pairs:
        assert turned.energy[after] == pytest.approx(upright.energy[before], rel=1e-9, abs=1e-9)
    np.testing.assert_array_equal(turned.key_tokens, np.rot90(upright.key_tokens, turns))


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


@given(SEEDS)
def test_region_map_is_consistent(seed):
    region_map = sguf(blocks(seed, 5, 4, 8), 8)
    first_seen = list(dict.fromkeys(region_map.labels.ravel().tolist()))
    assert first_seen == list(range(len(region_map.energy)))  # no gaps, row-major order of first appearance
    assert (region_map.eigenvalues[..., 0] >= region_map.eigenvalues[..., 1]).all()
    assert (region_map.eigenvalues >= 0).all()
    np.testing.assert_array_equal(region_map.is_key, region_map.energy > region_map.threshold)
    for i, j in np.ndindex(region_map.labels.shape):
        assert region_map.key_tokens[i, j] == region_map.is_key[region_map.labels[i, j]]


@pytest.mark.parametrize("patch_size", [28, 32])
@pytest.mark.parametrize("grey", [0, 11, 128, 255])
def test_an_empty_page_is_one_background_region(patch_size, grey):
    region_map = sguf(np.full((3 * patch_size, 5 * patch_size, 3), grey, np.uint8), patch_size)
    assert region_map.labels.max() == 0
    assert not region_map.is_key.any()


def test_separate_strokes_are_separate_key_regions():
    image = np.full((5 * 28, 5 * 28, 3), 255, np.uint8)
    for row in (0, 4):
        image[row * 28 + 10 : row * 28 + 18 : 4, 8:-8] = 0
    region_map = sguf(image, 28)
    assert region_map.key_tokens[[0, 4]].all()
    assert not region_map.key_tokens[2].any()
    assert not set(region_map.labels[0]) & set(region_map.labels[4])


def test_luminance_threshold_keeps_flat_areas_apart():
    image = np.full((56, 168, 3), 255, np.uint8)
    image[:, 84:] = 0
    # The dark-to-light edge runs along a patch border, so structure alone could join the flat patches of each side.
    joined = sguf(image, 28, structure_threshold=10.0, luminance_threshold=101.0)
    apart = sguf(image, 28, structure_threshold=10.0, luminance_threshold=30.0)
    assert len(joined.energy) == 1
    assert len(apart.energy) == 2


def test_accepts_any_pil_mode_and_is_deterministic():
    drawing = next(problems("train", seed=3)).drawing.render(168)
    colour, grey = sguf(drawing, 28), sguf(drawing.convert("L"), 28)
    again = sguf(np.asarray(drawing), 28)
    for other in (grey, again):
        np.testing.assert_array_equal(other.labels, colour.labels)
        np.testing.assert_array_equal(other.energy, colour.energy)
    assert 0 < colour.key_tokens.mean() < 1


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((28, 30, 3), np.uint8), r"width of 30 px is not a positive multiple of patch_size=28"),
        (np.zeros((29, 28, 3), np.uint8), r"height of 29 px is not a positive multiple"),
        (np.zeros((0, 28, 3), np.uint8), r"height of 0 px"),
        (np.zeros((28, 28), np.uint8), r"expected a PIL image or uint8 \(H, W, 3\), got uint8 \(28, 28\)"),
        (np.zeros((28, 28, 4), np.uint8), r"expected a PIL image or uint8"),
        (np.zeros((28, 28, 3), np.float32), r"got float32"),
        (Image.new("RGB", (28, 27)), r"height of 27 px"),
    ],
)
def test_refuses_images_that_do_not_fit(image, message):
    with pytest.raises(ValueError, match=message):
        sguf(image, 28)
