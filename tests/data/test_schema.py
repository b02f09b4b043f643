"""What may and may not enter a data set."""

from __future__ import annotations

import io
from copy import deepcopy

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from kawhi.data import schema


@pytest.fixture
def example() -> dict:
    return schema.row(
        source="tiny",
        split="train",
        index=3,
        image=Image.new("RGB", (8, 6), "red"),
        question="Q?",
        answer="7",
        task="t",
    )


def write(path, *rows):
    schema.write(path, rows)
    return path


def test_round_trip(tmp_path, example):
    path = write(tmp_path / "new" / "folder" / "train.parquet", example)
    assert schema.check(path) == 1
    table = pq.read_table(path)
    assert table.schema.equals(schema.SCHEMA)
    read = table.to_pylist()[0]
    assert read == example
    assert read["prompt"] == [{"role": "user", "content": "<image>Q?"}]
    assert read["reward_model"] == {"style": "rule", "ground_truth": "7"}
    assert read["extra_info"] == {"split": "train", "index": 3, "question": "Q?", "answer": "7", "task": "t"} | {
        "id": None,
        "choices": [],
    }
    image = Image.open(io.BytesIO(read["images"][0]["bytes"]))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(Image.new("RGB", (8, 6), "red")))


def test_a_data_set_may_be_empty_of_rows(tmp_path):
    assert schema.check(write(tmp_path / "empty.parquet")) == 0


@pytest.mark.parametrize("images", [[], None])
def test_a_row_without_its_image_is_named(tmp_path, example, images):
    broken = example | {"images": images}
    with pytest.raises(ValueError, match=r"row 1: 1 <image> marker\(s\) but 0 image\(s\)"):
        schema.check(write(tmp_path / "x.parquet", example, broken))


def test_an_image_without_its_marker_is_named(tmp_path, example):
    broken = example | {"prompt": [{"role": "user", "content": "Q?"}]}
    with pytest.raises(ValueError, match=r"row 0: 0 <image> marker\(s\) but 1 image\(s\)"):
        schema.check(write(tmp_path / "x.parquet", broken))


def test_markers_are_counted_over_all_messages(tmp_path, example):
    two = deepcopy(example)
    two["prompt"].insert(0, {"role": "system", "content": "Look: <image>"})
    two["images"] *= 2
    assert schema.check(write(tmp_path / "x.parquet", two)) == 1


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"not an image", b"", None, encoded("PNG")[:2000], encoded("JPEG")[:2000]],
    ids=["text", "nothing", "null", "half a PNG", "half a JPEG"],
)
def test_an_image_that_does_not_decode_is_named(tmp_path, example, content):
    broken = example | {"images": [{"bytes": content}]}
    with pytest.raises(ValueError, match="row 1: the image cannot be decoded"):
        schema.check(write(tmp_path / "x.parquet", example, broken))


@pytest.mark.parametrize(
    "reward", [None, {"style": "rule", "ground_truth": None}, {"ground_truth": ""}, {"ground_truth": " "}]
)
def test_a_row_without_answer_is_named(tmp_path, example, reward):
    with pytest.raises(ValueError, match="row 1: no ground_truth in reward_model"):
        schema.check(write(tmp_path / "x.parquet", example, example | {"reward_model": reward}))


def test_missing_columns_are_listed(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"prompt": ["Q?"]}), path)
    with pytest.raises(ValueError, match="lacks the columns images, reward_model"):
        schema.check(path)


def test_a_writer_that_dies_leaves_the_old_file_and_nothing_else(tmp_path, example, monkeypatch):
    path = write(tmp_path / "x.parquet", example)
    before = path.read_bytes()

    def rows():
        yield example
        raise RuntimeError("no more rows")

    with pytest.raises(RuntimeError, match="no more rows"):
        schema.write(path, rows())

    def half_a_file(table, where):
        where.write_bytes(b"PAR1 half")
        raise OSError("disk full")

    monkeypatch.setattr(schema.pq, "write_table", half_a_file)
    with pytest.raises(OSError, match="disk full"):
        schema.write(path, [example])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_final_name_appears_with_the_finished_file_only(tmp_path, example, monkeypatch):
    path, seen = tmp_path / "x.parquet", []
    finish = schema.pq.write_table

    def watch(table, where):
        finish(table, where)
        seen.append(path.exists())

    monkeypatch.setattr(schema.pq, "write_table", watch)
    schema.write(path, [example])
    assert seen == [False]
    assert path.exists()
