"""The pixels that reach the model."""

from __future__ import annotations

import numpy as np
import pytest

from kawhi.models.seen import seen_by_model
from kawhi.tiny.architectures import FAMILIES, build_processor
from kawhi.tiny.world import problems


@pytest.mark.parametrize("scale", [1, 3])
def test_it_is_what_the_processor_makes_of_the_image(family, tokenizer, scale):
    spec = FAMILIES[family]
    image = next(problems("heldout", 0)).drawing.render(scale * spec.image_size)
    images = build_processor(family, tokenizer).image_processor
    seen = seen_by_model(image, images)
    assert seen.dtype == np.uint8
    assert seen.shape == (spec.image_size, spec.image_size, 3)
    features = images(images=[image], return_tensors="np")
    again = images(images=[seen], return_tensors="np")
    np.testing.assert_allclose(again["pixel_values"], features["pixel_values"], atol=0.01)
