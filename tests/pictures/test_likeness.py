"""Two pictures are one when one is a copy of the other, whatever became of it; alike drawings are two."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks.drawn_pictures import CHANGES, diagram, photograph
from kawhi.pictures.likeness import ALIKE, Looks, look

COUNT = 30


@pytest.fixture(scope="module", params=[diagram, photograph], ids=["diagrams", "photographs"])
def drawn(request):
    rng = np.random.default_rng(3)
    return [request.param(rng) for _ in range(COUNT)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found_and_nothing_else(drawn, change):
    rng, known = np.random.default_rng(4), Looks([look(each) for each in drawn])
    found = [known.same_as(look(CHANGES[change](each, rng))) for each in drawn]
    right = [number in own for number, own in enumerate(found)]
    assert sum(right) >= (COUNT - 1 if "cropped" in change else COUNT)
    assert not any(own.keys() - {number} for number, own in enumerate(found))
    if change == "exact copies":
        assert [own[number] for number, own in enumerate(found)] == [1.0] * COUNT
    elif change == "recompressed":
        assert all(ALIKE <= own[number] < 1 for number, own in enumerate(found))


def test_a_crop_is_found_from_either_side(drawn):
    whole = drawn[0]
    width, height = whole.size
    crop = whole.crop((width // 20, height // 10, width // 20 + int(0.88 * width), height // 10 + int(0.88 * height)))
    for one, other in ((whole, crop), (crop, whole)):
        assert Looks([look(one)]).same_as(look(other)).keys() == {0}


def test_charts_of_one_form_with_other_values_are_two():
    def pie(angle: int) -> Image.Image:
        image = Image.new("RGB", (300, 240), "white")
        draw = ImageDraw.Draw(image)
        draw.pieslice((50, 20, 250, 220), 0, angle, fill="#0072B2")
        draw.pieslice((50, 20, 250, 220), angle, 360, fill="#E69F00")
        return image

    known = Looks([look(pie(angle)) for angle in (90, 120, 150)])
    assert known.same_as(look(pie(120))).keys() == {1}
    assert known.same_as(look(pie(135))) == {}


def test_a_flat_picture_is_known_by_its_pixels_alone():
    known = Looks([look(Image.new("RGB", (40, 30), colour)) for colour in ("white", "#FEFEFE", "black")])
    assert known.same_as(look(Image.new("RGB", (40, 30), "white"))) == {0: 1.0}
    assert known.same_as(look(Image.new("RGB", (41, 30), "white"))) == {}
    assert Looks([]).same_as(look(diagram(np.random.default_rng(0)))) == {}
