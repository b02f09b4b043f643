"""What a column is made of, and records that cannot stand in one table."""

from typing import Any

import pytest

from analysis.records import Measurement, entries, groundings, measurements, timings
from kawhi.records.folder import read_folder
from tests.analysis.synthetic import (
    Folder,
    accuracy,
    baseline_record,
    changed,
    grounding_record,
    hashed,
    record,
    timing_record,
)


def read(folder: Folder) -> list[Measurement]:
    found = read_folder(folder.records)
    assert not found.refused
    return measurements(found.records)


def columns(folder: Folder) -> int:
    return len({m.column for m in read(folder)})


def test_all_kinds_lie_in_one_folder_and_are_read_apart(folder: Folder) -> None:
    folder.add(record("kawhi", 1040), record("uniform", 1000), grounding_record("blank"))
    folder.add(timing_record("vppo"), baseline_record(800))
    records = read_folder(folder.records).records
    assert [m.credit for m in measurements(records)] == ["kawhi", "uniform"]
    (grounding,) = groundings(records)
    assert (grounding.measured.image, grounding.measured.order, grounding.measured.log_prob) == ("blank", 0.87, -1.25)
    assert [t.credit for t in timings(records)] == ["vppo"]
    assert [e.study for e in entries(records)] == ["training", "training", "baseline"]


def test_seeds_and_what_the_credit_method_brings_do_not_move_a_record_to_another_column(folder: Folder) -> None:
    folder.add(record("uniform", 1000), record("kawhi", 1040, options={"w_min": 0.1}))
    folder.add(record("kawhi", 1040, seeds={"data": 2, "rollout": 5, "regions": 7}))
    assert columns(folder) == 1


def test_a_benchmark_beside_it_does_not_move_a_record_to_another_column(folder: Folder) -> None:
    second = record("uniform", 1000)["benchmarks"] | {"mathvision": accuracy("MathVision", 100, 30)}
    folder.add(record("uniform", 1000), record("kawhi", 1040, benchmarks=second))
    assert columns(folder) == 2


def test_a_seed_of_the_trainers_own_is_no_copy_of_the_cells(folder: Folder) -> None:
    folder.add(record("uniform", 1000))
    folder.add(hashed(changed(record("kawhi", 1040), "config", "verl", "data", "seed", value=9)))
    assert columns(folder) == 2


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (record("kawhi", 1040), "same cell"),
        (hashed(changed(record("kawhi", 1000), "config", "study", "tag", value="x")), "equal seeds"),
        (record("kawhi", 1000, rollout=1, options={"temperature": 1.0}), "differ in kawhi.options, kawhi.options.temp"),
    ],
)
def test_records_that_do_not_fit_together_are_both_named(
    folder: Folder, capsys: pytest.CaptureFixture[str], other: dict[str, Any], sentence: str
) -> None:
    folder.add(record("kawhi", 1040), name="one.json")
    folder.add(other, name="two.json")
    assert folder.make("region_selection") == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert "one.json" in error
    assert "two.json" in error


def test_a_table_that_cannot_be_made_does_not_hold_up_the_others(folder: Folder, capsys) -> None:
    folder.add(record("kawhi", 1040), record("kawhi", 1000, rollout=1, options={"temperature": 1.0}))
    folder.add(grounding_record("blank"))
    assert folder.make("region_selection", "grounding") == 1
    assert "no table region_selection: " in capsys.readouterr().err
    assert folder.made() == {f"grounding.{ending}" for ending in ("md", "tex", "csv", "html")}
