"""A picture is what a viewer shows of a file."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageFile

from kawhi.pictures.rgb import picture
from tests.pictures.odd import drawing, files, photograph, plain

ODD = files(drawing(56, 84))


@pytest.mark.parametrize("name", ODD)
def test_a_file_is_shown_as_a_viewer_shows_it(name, tmp_path):
    odd = ODD[name]
    seen = picture(odd.content)
    assert (seen.mode, seen.size, seen.info, dict(seen.getexif())) == ("RGB", (56, 84), {}, {})
    assert np.abs(np.asarray(seen).astype(int) - odd.seen).max() <= odd.off
    (tmp_path / "file").write_bytes(odd.content)
    opened = Image.open(io.BytesIO(odd.content))
    for other in (tmp_path / "file", str(tmp_path / "file"), opened, pickle.loads(pickle.dumps(opened)), seen):
        assert picture(other).tobytes() == seen.tobytes()


def test_a_plain_file_has_the_pixels_that_it_always_had():
    content = plain(drawing(40, 30))
    assert picture(content).tobytes() == Image.open(io.BytesIO(content)).convert("RGB").tobytes()


@given(arrays(np.uint16, (3, 4)), arrays(np.uint8, (3, 4, 3)))
def test_depth_is_scaled_in_order_and_8_bits_stay(deep, colours):
    assert picture(Image.fromarray(colours)).tobytes() == colours.tobytes()
    seen = np.asarray(picture(Image.fromarray(deep)))
    assert np.abs(seen / 255 - deep[..., None] / 65535).max() <= 0.5 / 255 + 1e-9


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 1.5, 255.0], [0, 2, 255]),
        ([0.0, 300.0, 65535.0], [0, 1, 255]),
        ([0.0, 1e6, 2e6], [0, 128, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([0.0, np.nan, np.inf], [0, 0, 255]),
        ([5.0, 5.0, 5.0], [5, 5, 5]),
        ([0, 1, 255], [0, 1, 255]),
        ([0, 1, 1], [0, 1, 1]),
        ([0, 257, 65535], [0, 1, 255]),
        ([-10, 0, 10], [0, 128, 255]),
    ],
)
def test_white_is_the_least_depth_that_holds_all_values(values, seen):
    kind = np.float32 if isinstance(values[0], float) else np.int32
    assert np.asarray(picture(Image.fromarray(np.array([values], kind))))[0, :, 0].tolist() == seen


@given(st.data())
def test_a_damaged_exif_block_stops_nothing(data):
    content = bytearray(photograph(drawing(8, 12), 6).content)
    start = content.index(b"Exif\0\0") + 6
    for _ in range(data.draw(st.integers(1, 5))):
        content[start + data.draw(st.integers(0, 25))] = data.draw(st.integers(0, 255))
    try:
        Image.open(io.BytesIO(content)).load()
    except Exception:
        return  # PIL itself takes it for no image
    assert sorted(picture(bytes(content)).size) == [8, 12]


def test_a_block_that_is_no_exif_says_nothing():
    image = Image.open(io.BytesIO(plain(drawing(8, 12))))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=b"no EXIF")
    assert picture(buffer.getvalue()).tobytes() == image.tobytes()


def test_half_a_file_is_none(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as lmms-eval leaves it
    with pytest.raises(OSError, match="truncated"):
        picture(ODD["JPEG, orientation 6"].content[:-200])
