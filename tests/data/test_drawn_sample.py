"""ChartQA's sample: rows are drawn until as many as are wanted pass the checks."""

from __future__ import annotations

from collections import Counter

import pyarrow.parquet as pq
import pytest

from kawhi.data import build as module
from kawhi.data.sources import chartqa_20k
from kawhi.data.sources.chartqa_20k import Reader as ChartQA
from tests.data import layouts
from tests.data.test_build import Killed, rows, run


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(module, "SHARD_ROWS", 4)


def chartqa(folder, broken=range(0, 40, 4)):
    """Questions by people and by machine; those of some images have no answer."""
    rows = layouts.questions(10, 30)
    empty = [
        (kind, image, query, "" if place in broken else label) for place, (kind, image, query, label) in enumerate(rows)
    ]
    return layouts.chartqa_hub(folder, empty, layouts.questions(2, 2, start=50))


def kinds(file):
    return Counter(row["extra_info"]["task"] for row in rows(file))


def test_a_sample_is_drawn_until_as_many_pass_whether_its_ids_are_committed_or_not(tmp_path, monkeypatch):
    monkeypatch.setattr(chartqa_20k, "SIZE", 12)
    place, drawn, again = chartqa(tmp_path / "in"), tmp_path / "drawn", tmp_path / "again"
    report = run(ChartQA(place), drawn, name="chartqa_20k")
    dropped = report["splits"]["train"]["dropped"]["no answer"]
    assert dropped > 0
    assert report["splits"]["train"] == {"rows": 12 + dropped, "kept": 12, "dropped": {"no answer": dropped}}
    assert kinds(drawn / "train.parquet") == {"human": 3, "augmented": 9}
    numbers = [row["extra_info"]["index"] for row in rows(drawn / "train.parquet")]
    assert numbers == sorted(numbers)
    ids = drawn / "chartqa_20k.ids.txt"
    monkeypatch.setattr(chartqa_20k, "IDS", ids)
    report = run(ChartQA(place), again, name="chartqa_20k")
    assert report["splits"]["train"] == {"rows": 12, "kept": 12, "dropped": {}}
    for split in ("train", "validation"):
        assert rows(drawn / f"{split}.parquet") == rows(again / f"{split}.parquet")
        groups = [pq.read_metadata(out / f"{split}.parquet").num_row_groups for out in (drawn, again)]
        assert groups[0] == groups[1]


def test_drawing_on_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(chartqa_20k, "SIZE", 12)
    place, out = chartqa(tmp_path / "in"), tmp_path / "out"

    def in_the_second_round(split, done, total, dropped):
        if total > 12:
            raise Killed

    with pytest.raises(Killed):
        run(ChartQA(place), out, in_the_second_round, name="chartqa_20k")
    report = run(ChartQA(place), out, name="chartqa_20k")
    assert report == run(ChartQA(place), tmp_path / "at once", name="chartqa_20k") | {"notes": report["notes"]}
    assert rows(out / "train.parquet") == rows(tmp_path / "at once" / "train.parquet")


def test_a_sample_that_cannot_be_filled_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(chartqa_20k, "SIZE", 38)
    report = run(ChartQA(chartqa(tmp_path / "in")), tmp_path / "out", name="chartqa_20k")
    assert report["notes"] == ["30 of this copy's 40 different training questions pass the checks, not 38"]
    limited = run(ChartQA(tmp_path / "in"), tmp_path / "first", name="chartqa_20k", limit=6)
    assert limited["splits"]["train"]["rows"] == 6
    assert limited["notes"] == []
    assert not (tmp_path / "first" / "chartqa_20k.ids.txt").exists()


def test_one_file_of_a_sample_holds_rows_out_and_fills_up_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(chartqa_20k, "SIZE", 20)
    (file,) = (chartqa(tmp_path / "in") / "data").glob("train-*")
    report = run(ChartQA(file), tmp_path / "out", name="chartqa_20k")
    split = {
        name: {row["extra_info"]["id"] for row in rows(tmp_path / "out" / f"{name}.parquet")}
        for name in report["splits"]
    }
    assert len(split["train"]) == 18
    assert not split["train"] & split["validation"]
    assert set((tmp_path / "out" / "chartqa_20k.ids.txt").read_text().split()) == split["train"] | split["validation"]
