"""The tiny world's parquet files."""

from __future__ import annotations

import io

import pyarrow.parquet as pq
import pytest
from PIL import Image

from kawhi.data import schema
from kawhi.data.file_checks import check_file
from kawhi.rewards.boxed import is_correct
from kawhi.tiny.dataset import write_split
from kawhi.tiny.world import problems
from kawhi.tiny.worlds import problems_of


def test_equal_arguments_give_equal_rows_that_training_can_use(tmp_path):
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in paths:
        write_split(path, "validation", count=5, image_size=168, seed=4)
        assert check_file(path) == 5
    first, second = (pq.read_table(path).to_pylist() for path in paths)
    assert first == second
    for index, (row, problem) in enumerate(zip(first, problems("validation", seed=4), strict=False)):
        assert row["extra_info"]["index"] == index
        assert row["extra_info"]["split"] == "validation"
        assert row["extra_info"]["task"] == problem.task
        assert row["prompt"][0]["content"] == f"<image>{problem.question}"
        assert is_correct(problem.worked, row["reward_model"]["ground_truth"])
        assert Image.open(io.BytesIO(row["images"][0]["bytes"])).tobytes() == problem.drawing.render(168).tobytes()


@pytest.mark.parametrize("world", ["reading_plain", "reading_long"])
def test_rows_of_the_reading_world_say_what_has_to_be_read(tmp_path, world):
    path = tmp_path / "a.parquet"
    write_split(path, "heldout", count=4, image_size=168, seed=4, world=world)
    assert check_file(path) == 4
    assert schema.has_readings(path)
    for row, problem in zip(pq.read_table(path).to_pylist(), problems_of(world, "heldout", 4), strict=False):
        assert row["data_source"] == world
        assert tuple(row["extra_info"]["readings"]) == problem.readings
        assert row["extra_info"]["question"].endswith("Explain.") == (world == "reading_long")


def test_rows_of_other_data_have_the_schema_without_readings(tmp_path):
    path = tmp_path / "a.parquet"
    write_split(path, "heldout", count=1, image_size=168, seed=4)
    assert pq.read_schema(path).equals(schema.SCHEMA)
    assert not schema.has_readings(path)
    pq.write_table(pq.read_table(path).drop_columns("extra_info"), path)
    assert not schema.has_readings(path)


def test_the_seed_changes_the_rows(tmp_path):
    for seed in (0, 1):
        write_split(tmp_path / f"{seed}.parquet", "train", count=3, image_size=168, seed=seed)
    assert pq.read_table(tmp_path / "0.parquet") != pq.read_table(tmp_path / "1.parquet")
