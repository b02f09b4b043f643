"""Borders, colours and embedded images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from kawhi.style.overlays import (
    BLUE,
    VERMILION,
    borders,
    diverging,
    from_uri,
    heat_pixels,
    image_uri,
    mix,
)


@given(labels=arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 2)))
def test_borders_separate_exactly_the_different_neighbours(labels):
    edges = set()
    for (x0, y0), (x1, y1) in borders(labels):
        assert (x0 == x1) != (y0 == y1)
        edges |= {((x0, y), (x0, y + 1)) for y in range(y0, y1)} | {((x, y0), (x + 1, y0)) for x in range(x0, x1)}
    rows, columns = labels.shape
    expected = {
        ((x, y), (x, y + 1)) for y in range(rows) for x in range(1, columns) if labels[y, x - 1] != labels[y, x]
    } | {((x, y), (x + 1, y)) for y in range(1, rows) for x in range(columns) if labels[y - 1, x] != labels[y, x]}
    assert edges == expected


def test_collinear_borders_are_one_line():
    assert borders(np.array([[0, 1]] * 5)) == [((1, 0), (1, 5))]


def test_heat_is_white_at_zero_and_full_at_the_limit():
    pixels = heat_pixels(np.array([[0.0, 0.4, -0.4, 0.9]]), 0.4)
    colours = ["#" + "".join(f"{c:02X}" for c in pixel) for pixel in pixels[0]]
    assert colours == ["#FFFFFF", VERMILION, BLUE, VERMILION]
    assert diverging(-0.4, 0.4) == BLUE
    assert diverging(0.0, 0.0) == "#FFFFFF"
    assert (heat_pixels(np.zeros((2, 2)), 0.0) == 255).all()


def test_mix_stays_between_its_ends():
    assert (mix(-1, BLUE), mix(0, BLUE), mix(1, BLUE), mix(7, BLUE)) == ("#FFFFFF", "#FFFFFF", BLUE, BLUE)


@pytest.mark.parametrize(
    ("size", "embedded"), [((168, 168), (672, 672)), ((2000, 1500), (1280, 960)), ((900, 5000), (230, 1280))]
)
def test_an_embedded_image_has_a_size_that_fits_a_page(size, embedded):
    assert from_uri(image_uri(Image.new("RGB", size))).size == embedded


def test_a_photograph_is_embedded_small():
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    uri = image_uri(Image.fromarray(noise))
    assert uri.startswith("data:image/jpeg;base64,")
    assert len(uri) < 2_000_000
