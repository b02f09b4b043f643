"""The recovered image equals the one the real processor was given."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from kawhi.regions.patches import unpatchify
from kawhi.tiny.models import FAMILIES, build_processor


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


def unpatchify_zeros(shape, grid):
    return unpatchify(np.zeros(shape, np.float32), grid, patch_size=14, mean=(0.5,) * 3, std=(0.5,) * 3)


def test_refuses_videos_and_wrong_shapes():
    with pytest.raises(ValueError, match="expected one still image, got a grid of 2 temporal patches"):
        unpatchify_zeros((32, 1176), (2, 4, 4))
    with pytest.raises(ValueError, match=r"\(15, 1176\) do not fit the grid \(1, 4, 4\) of 14 px patches"):
        unpatchify_zeros((15, 1176), (1, 4, 4))
    with pytest.raises(ValueError, match="do not fit the grid"):
        unpatchify_zeros((16, 1175), (1, 4, 4))
    with pytest.raises(ValueError, match="reshape"):  # an odd grid has no 2 x 2 merge order
        unpatchify_zeros((15, 1176), (1, 3, 5))
