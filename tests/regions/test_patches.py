"""The recovered image equals the one the real processor was given."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from kawhi.regions.patches import unpatchify
from kawhi.tiny.architectures import FAMILIES, build_processor


@pytest.mark.parametrize("columns", [1, 2])
def test_inverts_the_processor(family, tokenizer, columns):
    spec = FAMILIES[family]
    # Same area, so the processor does not resize; the oblong one would expose swapped axes.
    size = (spec.image_size * columns, spec.image_size // columns)
    image = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    pixels = build_processor(family, tokenizer).image_processor(Image.fromarray(image), return_tensors="np")
    grid = tuple(int(n) for n in np.asarray(pixels["image_grid_thw"])[0])
    recovered = unpatchify(
        np.asarray(pixels["pixel_values"]),
        grid,
        patch_size=spec.patch_size,
        mean=spec.image_mean,
        std=spec.image_std,
    )
    assert recovered.dtype == np.uint8
    np.testing.assert_array_equal(recovered, image)


@pytest.mark.parametrize(("merge", "temporal"), [(1, 1), (1, 2), (2, 2), (3, 1)])
def test_every_pixel_lands_where_the_layout_says(merge, temporal):
    patch_size, rows, columns = 2, 2 * merge, 3 * merge
    mean, std = (0.5, 0.25, 0.125), (0.5, 0.25, 1.0)
    image = np.random.default_rng(merge).integers(0, 256, (rows * patch_size, columns * patch_size, 3), dtype=np.uint8)
    patches = []
    for block_row in range(0, rows, merge):
        for block_column in range(0, columns, merge):
            for i in range(block_row, block_row + merge):
                for j in range(block_column, block_column + merge):
                    patch = image[i * patch_size : (i + 1) * patch_size, j * patch_size : (j + 1) * patch_size] / 255
                    normal = [(patch[..., c] - mean[c]) / std[c] for c in range(3)]
                    patches.append(np.concatenate([np.tile(channel.ravel(), temporal) for channel in normal]))
    pixels = np.asarray(patches, np.float32)
    recovered = unpatchify(pixels, (1, rows, columns), patch_size=patch_size, mean=mean, std=std, merge=merge)
    np.testing.assert_array_equal(recovered, image)


def test_values_outside_a_byte_are_clipped():
    pixels = np.repeat(np.array([[-9.0], [9.0], [0.2], [0.6]], np.float32), 3, axis=1)
    image = unpatchify(pixels, (1, 2, 2), patch_size=1, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert image[..., 0].tolist() == [[0, 255], [51, 153]]


def unpatchify_zeros(shape, grid):
    return unpatchify(np.zeros(shape, np.float32), grid, patch_size=14, mean=(0.5,) * 3, std=(0.5,) * 3)


def test_refuses_videos_and_wrong_shapes():
    with pytest.raises(ValueError, match="expected one still image, got a grid of 2 temporal patches"):
        unpatchify_zeros((32, 1176), (2, 4, 4))
    with pytest.raises(ValueError, match=r"\(15, 1176\) do not fit the grid \(1, 4, 4\) of 14 px patches"):
        unpatchify_zeros((15, 1176), (1, 4, 4))
    with pytest.raises(ValueError, match="do not fit the grid"):
        unpatchify_zeros((16, 1175), (1, 4, 4))
    for rows, columns in ((3, 5), (3, 4), (4, 3)):  # an odd grid has no 2 x 2 merge order
        with pytest.raises(ValueError, match="reshape"):
            unpatchify_zeros((rows * columns, 1176), (1, rows, columns))
