"""What a model sees of images, and which visual tokens of a prompt are selected."""

from __future__ import annotations

import numpy as np
import pytest

import kawhi
from kawhi.tiny.architectures import FAMILIES, build_processor
from tests.tiny.made import pictures


@pytest.fixture
def processor(family, tokenizer):
    return build_processor(family, tokenizer)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_view_is_the_picture_that_the_processor_makes(processor, family, scale):
    side = FAMILIES[family].image_size
    (image,) = pictures(family, 1)
    (view,) = kawhi.views(image.resize((scale * side, scale * side)), processor)
    assert view.picture.shape == (side, side, 3)
    assert view.token_pixels == processor.image_processor.patch_size * processor.image_processor.merge_size
    assert view.grid == (6, 6)
    assert view.order.tolist() == list(range(36))


def test_tokens_of_several_images_are_counted_through_the_prompt(processor, family):
    images = pictures(family, 2)
    together = kawhi.select_visual_tokens(images, processor, skip_ratio=1.0)
    first, second = (kawhi.select_visual_tokens(image, processor, skip_ratio=1.0) for image in images)
    assert together.tolist() == [*first, *(second + 36)]
    assert 0 < len(first) < 36
    assert kawhi.select_visual_tokens([], processor).tolist() == []


def test_options_reach_the_regions_and_the_selection(processor, family):
    (image,) = pictures(family, 1)
    assert len(kawhi.select_visual_tokens(image, processor, "all")) == 36
    (view,) = kawhi.views(image, processor)
    regions = kawhi.sguf(view.picture, view.token_pixels, energy_scale=3.0)
    expected = kawhi.select_tokens(regions, "inverse", 0.5, kawhi.stable_seed(7, 0))
    found = kawhi.select_visual_tokens(image, processor, "inverse", skip_ratio=0.5, seed=7, energy_scale=3.0)
    np.testing.assert_array_equal(found, expected)


def test_a_processor_of_no_known_family_is_refused():
    with pytest.raises(ValueError, match=r"object is no processor of .*qwen3_vl; how to add another family"):
        kawhi.views([], object())
