"""The parquet schema, and how its files are written."""

from __future__ import annotations

import io

import numpy as np
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
