"""A drawn file's name tells what is in it, so that its name is enough to draw it."""

from __future__ import annotations

import pytest

from kawhi.tiny.drawn_files import draw, is_drawn, tiny_file
from tests.cells import cell


@pytest.mark.parametrize("world", ["tiny", "reading_plain"])
def test_a_file_is_drawn_by_its_name(tmp_path, world):
    asked = cell(tmp_path)
    path = tiny_file(asked, "validation", 3, 7, world, make=False)
    assert is_drawn(path)
    assert not path.exists()
    draw(path)
    content = path.read_bytes()
    path.unlink()
    assert tiny_file(asked, "validation", 3, 7, world).read_bytes() == content


def test_what_is_there_is_left_alone(tmp_path):
    path = tiny_file(cell(tmp_path), "validation", 3, 7, make=False)
    path.parent.mkdir(parents=True)
    path.write_text("of another process")
    draw(path)
    assert path.read_text() == "of another process"


@pytest.mark.parametrize(
    "name", ["train.parquet", "train-3x168px-s0-00000000.parquet", "no-train-3x168px-s0-{}.parquet"]
)
def test_another_name_is_refused(tmp_path, name):
    made = tiny_file(cell(tmp_path), "train", 3, 0, make=False)
    path = made.with_name(name.format(made.stem.rpartition("-")[2]))
    assert not is_drawn(path)
    with pytest.raises(ValueError, match="is no name of a drawn file of today"):
        draw(path)
