"""The tiny world's parquet files."""

from __future__ import annotations

import io

import pyarrow.parquet as pq
from PIL import Image

from kawhi.data.file_checks import check_file
from kawhi.rewards.boxed import is_correct
from kawhi.tiny.dataset import write_split
from kawhi.tiny.world import problems


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


def test_the_seed_changes_the_rows(tmp_path):
    for seed in (0, 1):
        write_split(tmp_path / f"{seed}.parquet", "train", count=3, image_size=168, seed=seed)
    assert pq.read_table(tmp_path / "0.parquet") != pq.read_table(tmp_path / "1.parquet")
