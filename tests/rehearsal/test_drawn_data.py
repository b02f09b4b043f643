"""`kawhi prepare` takes the drawn rows for the real data set's."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from kawhi.commands.cli import main
from kawhi.data.sources import NAMES
from kawhi.rehearsal.drawn_data import LAYOUTS, TRAIN, drawn_rows
from tests.data.layouts import TINY


def test_there_is_one_for_every_data_set():
    assert set(LAYOUTS) == set(NAMES)


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_is_prepared_as_the_real_one(tmp_path, name):
    LAYOUTS[name](tmp_path / "source")
    words = ["--from", str(tmp_path / "source"), "--model", TINY, "--out", str(tmp_path / "out")]
    assert main(["prepare", name, *words]) == 0
    rows = {
        split: pq.read_metadata(tmp_path / "out" / f"{split}.parquet").num_rows for split in ("train", "validation")
    }
    assert rows["train"] >= TRAIN
    assert rows["validation"] >= 4


def test_no_two_rows_have_one_picture():
    assert len({row.image for row in drawn_rows(0, 60)}) == 60
