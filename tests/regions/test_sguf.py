"""SGUF against the literal equations, and what it makes of every kind of image."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kawhi.regions.sguf import RegionMap, _merge, luminance, sguf, structure_eigenvalues
from kawhi.tiny.world import problems
from tests.reference import sguf as reference
from tests.regions.pictures import blocks

SEEDS = st.integers(0, 2**32 - 1)


def check(image: np.ndarray, patch_size: int, **options) -> RegionMap:
    """Compares every field with the literal equations."""
    region_map, expected = sguf(image, patch_size, **options), reference.regions(image, patch_size, **options)
    np.testing.assert_allclose(region_map.luminance, expected.luminance, atol=1e-9)
    np.testing.assert_allclose(region_map.eigenvalues, expected.eigenvalues, atol=1e-6)
    np.testing.assert_array_equal(region_map.labels, expected.labels)
    np.testing.assert_allclose(region_map.energy, expected.energy, atol=1e-6)
    assert region_map.threshold == pytest.approx(expected.threshold, abs=1e-6)
    assert region_map.is_key.tolist() == expected.is_key
    return region_map


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (0, {}),
        (1, {}),
        (2, {"structure_threshold": 0.9, "luminance_threshold": 15.0, "energy_scale": 1.0, "epsilon": 2000.0}),
        (3, {"sigma": 0, "energy_scale": 1.0}),
        (4, {"sigma": 2.0}),
        (5, {"smoothed": "responses"}),
        (6, {"median_over": "tokens", "energy_scale": 1.0}),
    ],
)
def test_equals_the_equations(seed, options):
    region_map = check(blocks(seed, 4, 3, 6), 6, **options)
    assert 1 < len(region_map.energy) < region_map.labels.size  # the example both merges and keeps apart


@given(
    SEEDS,
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 5),
    st.fixed_dictionaries(
        {
            "structure_threshold": st.sampled_from([0.2, 0.5, 0.9]),
            "luminance_threshold": st.sampled_from([5.0, 30.0, 101.0]),
            "energy_scale": st.sampled_from([0.1, 0.5, 1.0]),
            "sigma": st.sampled_from([0, 0.5, 1.0]),
            "smoothed": st.sampled_from(["luminance", "responses"]),
            "median_over": st.sampled_from(["components", "tokens"]),
            "epsilon": st.sampled_from([1e-6, 100.0]),
        }
    ),
)
def test_equals_the_equations_whatever_the_options(seed, rows, columns, patch_size, options):
    check(blocks(seed, rows, columns, patch_size), patch_size, **options)


@pytest.mark.parametrize(("side", "patch_size"), [(168, 28), (192, 32)])
@pytest.mark.parametrize("task", ["triangle", "bar", "line"])
def test_equals_the_equations_on_drawn_images(side, patch_size, task):
    drawing = next(p for p in problems("train", seed=0) if p.task.startswith(task)).drawing
    region_map = check(np.asarray(drawing.render(side)), patch_size)
    assert 0 < region_map.key_tokens.sum() < region_map.labels.size


@pytest.mark.parametrize(
    ("height", "width", "patch_size"),
    [(1, 1, 1), (2, 2, 2), (28, 28, 28), (32, 32, 32), (4, 240, 4), (240, 4, 4), (1, 30, 1), (30, 1, 1)],
)
def test_equals_the_equations_on_one_patch_and_on_one_row(height, width, patch_size):
    check(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8), patch_size)


@pytest.mark.parametrize("patch_size", [28, 32])
@pytest.mark.parametrize("colour", [(0, 0, 0), (11, 11, 11), (201, 13, 97), (255, 255, 255)])
def test_an_empty_page_is_one_background_region(patch_size, colour):
    region_map = check(np.full((2 * patch_size, 3 * patch_size, 3), colour, np.uint8), patch_size)
    assert region_map.labels.max() == 0
    assert not region_map.is_key.any()
    assert not region_map.eigenvalues.any()


def test_the_rounding_of_a_blur_is_no_structure():
    # Not every build of OpenCV blurs a flat page into equal numbers.
    last_bit = np.spacing(95.0) * np.random.default_rng(0).integers(-1, 2, (56, 56))
    assert not structure_eigenvalues(95.0 + last_bit, 28).any()


@pytest.mark.parametrize("page", [0, 128, 255])
def test_one_grey_level_at_the_end_of_the_filters_reach_is_structure(page):
    image = np.full((84, 84, 3), page, np.uint8)
    image[23, 23] = abs(page - 1)  # four pixels of Gaussian and one of Sobel from the patch in the middle
    region_map = sguf(image, 28)
    assert region_map.eigenvalues[1, 1, 0] > 0
    assert region_map.eigenvalues[2, 2, 0] == 0


def test_luminance_of_known_colours():
    # CIE 1976 lightness of the sRGB primaries, D65.
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(luminance(colours)[0], [0, 100, 53.24, 87.73, 32.30], atol=0.01)


@given(SEEDS)
def test_luminance_equals_the_pixelwise_formula(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, rng.choice([16, 256]), (3, 4, 3), dtype=np.uint8)  # dark: below the cube root's threshold
    np.testing.assert_allclose(luminance(image), reference.cielab_lightness(image), atol=1e-9)


@pytest.mark.parametrize(("height", "width"), [(300, 500), (3, 70_000)])
def test_luminance_of_a_large_image_is_that_of_its_rows(height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    np.testing.assert_array_equal(luminance(image), np.concatenate([luminance(row[None]) for row in image]))


@given(SEEDS, st.integers(1, 12), st.integers(1, 12), st.floats(0, 1))
@settings(max_examples=100)
def test_merging_is_a_flood_fill(seed, rows, columns, density):
    rng = np.random.default_rng(seed)
    eigenvalues = rng.choice([0.0, 1.0, 1.4, 5.0], (rows, columns, 2), p=[0.4, 0.3, 0.2, 0.1])
    eigenvalues = -np.sort(-eigenvalues, axis=-1)
    lightness = np.where(rng.random((rows, columns)) < density, 80.0, 20.0)
    thresholds = 0.5, 30.0, 1e-6
    labels = _merge(eigenvalues, lightness, *thresholds)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, reference.components(eigenvalues, lightness, *thresholds))


def test_a_chain_as_long_as_the_grid_is_one_region():
    lightness = np.full((41, 41), 100.0)
    lightness[1::2] = 0.0
    lightness[1::4, -1] = lightness[3::4, 0] = 100.0  # a serpentine: its ends meet over 860 steps
    labels = _merge(np.zeros((41, 41, 2)), lightness, 0.5, 30.0, 1e-6)
    np.testing.assert_array_equal(labels == 0, lightness == 100.0)
    assert labels.max() == 20


def test_at_a_threshold_nothing_merges():
    # Equation 8 has < twice, equation 10 has >.
    eigenvalues = np.array([[[1.0, 0.0], [2.0, 0.0]]])
    same, apart = np.array([[50.0, 50.0]]), np.array([[50.0, 80.0]])
    assert _merge(eigenvalues, same, 0.5, 30.0, 1e-6).tolist() == [[0, 1]]
    assert _merge(eigenvalues, same, 0.5001, 30.0, 1e-6).tolist() == [[0, 0]]
    assert _merge(eigenvalues, apart, 0.5001, 30.0, 1e-6).tolist() == [[0, 1]]
    assert _merge(eigenvalues, apart, 0.5001, 30.001, 1e-6).tolist() == [[0, 0]]
    one_region = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert sguf(one_region, 8, energy_scale=0.999).is_key.tolist() == [True]
    assert sguf(one_region, 8, energy_scale=1.0).is_key.tolist() == [False]


@given(SEEDS)
def test_region_map_is_consistent(seed):
    region_map = sguf(blocks(seed, 5, 4, 8), 8)
    first_seen = list(dict.fromkeys(region_map.labels.ravel().tolist()))
    assert first_seen == list(range(len(region_map.energy)))  # no gaps, row-major order of first appearance
    assert (region_map.eigenvalues[..., 0] >= region_map.eigenvalues[..., 1]).all()
    assert (region_map.eigenvalues >= 0).all()
    assert region_map.luminance.min() >= -1e-9
    assert region_map.luminance.max() <= 100 + 1e-9
    np.testing.assert_array_equal(region_map.is_key, region_map.energy > region_map.threshold)
    for i, j in np.ndindex(region_map.labels.shape):
        assert region_map.key_tokens[i, j] == region_map.is_key[region_map.labels[i, j]]


def test_fields_have_the_documented_types():
    region_map = sguf(blocks(0, 2, 3, 8), 8)
    regions = len(region_map.energy)
    assert {
        name: (value.dtype.name, value.shape) for name, value in vars(region_map).items() if name != "threshold"
    } == {
        "labels": ("int64", (2, 3)),
        "energy": ("float64", (regions,)),
        "is_key": ("bool", (regions,)),
        "eigenvalues": ("float64", (2, 3, 2)),
        "luminance": ("float64", (2, 3)),
    }
    assert type(region_map.threshold) is float


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


def same(a: RegionMap, b: RegionMap) -> bool:
    """To the last bit."""
    return all(np.array_equal(value, getattr(b, name)) for name, value in vars(a).items())


def test_a_pil_image_is_its_rgb_pixels():
    drawing = next(problems("train", seed=3)).drawing.render(168)
    colour = sguf(drawing, 28)
    assert 0 < colour.key_tokens.mean() < 1
    strokes = Image.new("L", drawing.size, 0)
    strokes.putalpha(drawing.convert("L").point(lambda value: 255 - value))  # black on a transparent page
    for other in (np.asarray(drawing), drawing.convert("L"), drawing.convert("RGBA"), strokes, strokes.convert("RGBA")):
        assert same(sguf(other, 28), colour)
    palette = drawing.quantize(4)
    assert same(sguf(palette, 28), sguf(palette.convert("RGB"), 28))
    assert same(sguf(drawing.convert("1"), 28), sguf(drawing.convert("1").convert("RGB"), 28))


def test_any_memory_layout_is_read_and_none_is_written():
    image = blocks(0, 3, 2, 8)
    expected = sguf(image, 8)
    spread = np.zeros((2 * image.shape[0], 3 * image.shape[1], 3), np.uint8)
    spread[::2, ::3] = image
    planes = np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)
    frozen = image.copy()
    frozen.setflags(write=False)
    for view in (spread[::2, ::3], planes, frozen, np.asfortranarray(image), image[::-1].copy()[::-1]):
        assert same(sguf(view, 8), expected)


def test_saving_keeps_every_bit_even_beside_other_threads(tmp_path):
    region_map, file = sguf(blocks(0, 5, 4, 8), 8), tmp_path / "a" / "map.npz"
    with ThreadPoolExecutor(8) as pool:  # an agent loop's threads meet one image at the same time
        for saving in [pool.submit(region_map.save, file) for _ in range(32)]:
            saving.result()
    stored = RegionMap.load(file)
    assert same(stored, region_map)
    assert {name: type(value) for name, value in vars(stored).items()} == {
        name: type(value) for name, value in vars(region_map).items()
    }
    assert [path.name for path in file.parent.iterdir()] == ["map.npz"]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((28, 30, 3), np.uint8), r"width of 30 px is not a positive multiple of patch_size=28"),
        (np.zeros((29, 28, 3), np.uint8), r"height of 29 px is not a positive multiple"),
        (np.zeros((0, 28, 3), np.uint8), r"height of 0 px"),
        (np.zeros((28, 0, 3), np.uint8), r"width of 0 px"),
        (np.zeros((28, 28), np.uint8), r"expected a PIL image or uint8 \(H, W, 3\), got uint8 \(28, 28\)"),
        (np.zeros((28, 28, 4), np.uint8), r"expected a PIL image or uint8 \(H, W, 3\), got uint8 \(28, 28, 4\)"),
        (np.zeros((1, 28, 28, 3), np.uint8), r"got uint8 \(1, 28, 28, 3\)"),
        (np.zeros((28, 28, 3), np.float32), r"got float32"),
        (np.zeros((28, 28, 3), np.int64), r"got int64"),
        (Image.new("RGB", (28, 27)), r"height of 27 px"),
        (Image.new("RGB", (27, 28)), r"width of 27 px"),
    ],
)
def test_refuses_images_that_do_not_fit(image, message):
    with pytest.raises(ValueError, match=message):
        sguf(image, 28)


@pytest.mark.parametrize(
    ("patch_size", "options", "message"),
    [
        (0, {}, r"need patch_size >= 1.* got patch_size=0"),
        (-28, {}, r"got patch_size=-28"),
        (28, {"sigma": -0.1}, r"a finite sigma >= 0.* sigma=-0.1"),
        (28, {"sigma": float("nan")}, r"sigma=nan"),
        (28, {"sigma": float("inf")}, r"sigma=inf"),
        (28, {"epsilon": 0.0}, r"epsilon > 0.* epsilon=0.0"),
        (28, {"epsilon": float("nan")}, r"epsilon=nan"),
    ],
)
def test_refuses_options_outside_their_range(patch_size, options, message):
    with pytest.raises(ValueError, match=message):
        sguf(np.zeros((28, 28, 3), np.uint8), patch_size, **options)


def test_no_image_makes_numpy_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for image in (np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8), blocks(0, 1, 1, 8)):
            sguf(image, 4, sigma=0)
