"""What a column is made of, and records that cannot stand in one table."""

from typing import Any

import pytest

from analysis.records import columns, frame
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


def count(folder: Folder) -> int:
    found = read_folder(folder.records).joined()
    assert not found.refused
    return len(columns(frame(found.records), ["provenance", "model", "task", "steps"], "{provenance}"))


def test_a_row_per_record_and_benchmark_or_image(folder: Folder) -> None:
    two = {"kawhi_tiny": accuracy("Tiny world", 2000, 1040), "mathvision": accuracy("MathVision", 100, 30)}
    folder.add(record("kawhi", 1040, benchmarks=two), grounding_record("blank"))
    folder.add(timing_record("vppo"), baseline_record(800))
    rows = frame(read_folder(folder.records).joined().records)
    assert [*zip(rows.study, rows.credit, rows.task, strict=True)] == [
        ("training", "kawhi", "kawhi_tiny"),
        ("training", "kawhi", "mathvision"),
        ("grounding", "kawhi", "blank"),
        ("timing", "vppo", ""),
        ("baseline", "", "kawhi_tiny"),
    ]
    assert set(rows.provenance) == {"tiny"}


def test_seeds_and_what_the_credit_method_brings_do_not_move_a_record_to_another_column(folder: Folder) -> None:
    folder.add(record("uniform", 1000), record("kawhi", 1040, options={"w_min": 0.1}))
    folder.add(record("kawhi", 1040, seeds={"data": 2, "rollout": 5, "regions": 7}))
    assert count(folder) == 1


def test_a_benchmark_beside_it_does_not_move_a_record_to_another_column(folder: Folder) -> None:
    second = record("uniform", 1000)["benchmarks"] | {"mathvision": accuracy("MathVision", 100, 30)}
    folder.add(record("uniform", 1000), record("kawhi", 1040, benchmarks=second))
    assert count(folder) == 2


def test_a_judge_of_the_benchmark_beside_it_does_not_move_a_record_to_another_column(folder: Folder) -> None:
    def judged(rollout: int, *others: str, judge: str = "a") -> dict[str, Any]:
        scores = {task: accuracy(task, 100, 30) for task in ("kawhi_tiny", *others)}
        content = record("kawhi", 0, rollout=rollout, benchmarks=scores)
        content["config"]["judge"] = {"name": "j", "model": judge, "prompts": dict.fromkeys(others, "0123")}
        return content

    folder.add(record("kawhi", 30, n=100), judged(1, "mathverse"), judged(2, "mathverse", "mathvision"))
    assert count(folder) == 3
    folder.add(judged(1, "mathverse", judge="b"))  # of which the other judge is a column, and nothing is there twice
    assert count(folder) == 4
    rows = frame(read_folder(folder.records).joined().records)
    assert [*rows.task].count("kawhi_tiny") == 3


def test_a_seed_of_the_trainers_own_is_no_copy_of_the_cells(folder: Folder) -> None:
    folder.add(record("uniform", 1000))
    folder.add(hashed(changed(record("kawhi", 1040), "config", "verl", "data", "seed", value=9)))
    assert count(folder) == 2


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (record("kawhi", 1040), "same cell"),
        (hashed(changed(record("kawhi", 1000), "config", "study", "tag", value="x")), "equal seeds"),
        (record("kawhi", 1000, rollout=1, options={"unknown": 1.0}), "differ in kawhi.options, kawhi.options.unknown"),
    ],
)
def test_records_that_do_not_fit_together_are_both_named(
    folder: Folder, capsys: pytest.CaptureFixture[str], other: dict[str, Any], sentence: str
) -> None:
    folder.add(record("kawhi", 1040), name="one.json")
    folder.add(other, name="two.json")
    folder.add(grounding_record("blank"))
    assert folder.make("region_selection", "grounding") == 1
    error = capsys.readouterr().err
    assert all(words in error for words in (sentence, "one.json", "two.json"))
    if "same cell" not in sentence:  # the others are made
        assert "no table region_selection: " in error
        assert folder.made() == {f"grounding.{ending}" for ending in ("md", "tex", "csv", "html")}
