"""What is refused, and what a column is made of."""

from typing import Any

import pytest

from analysis.records import read_grounding, read_records
from tests.analysis.synthetic import Folder, changed, grounding_record, record


def broken(*path: str, value: Any) -> dict[str, Any]:
    return changed(record("kawhi", 1040), *path, value=value)


def ungrounded(*path: str, value: Any, image: str = "blank") -> dict[str, Any]:
    return changed(grounding_record(image), *path, value=value)


AT = ("benchmarks", "kawhi_tiny")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"schema": 1', "cannot be read"),
        ("[1]", "schema version 1"),
        (broken("schema", value=2), "schema version 1"),
        (broken("schema", value=KeyError), "schema version 1"),
        (broken("study", value="drawing"), "study 'drawing'"),
        (broken("study", value="grounding"), "lacks grounding"),
        (broken("health", value=KeyError), "lacks health"),
        (broken("cell", "hash", value=KeyError), "lacks cell.hash"),
        (broken("model", value="a name"), "lacks model.name"),
        (broken("steps", value="20"), "wrong type"),
        (broken("seeds", "data", value=None), "wrong type"),
        (broken("provenance", value="paper"), "provenance 'paper'"),
        (broken("config", value=[]), "wrong type"),
        (broken("config", "benchmarks", value={"task": "kawhi_tiny"}), "config.benchmarks"),
        (broken("config", "steps", value=40), "says steps = 20 but its config says 40"),
        (broken("config", "credit", "name", value="uniform"), "says credit.name"),
        (broken("config", "seeds", "rollout", value=3), "says seeds.rollout"),
        (broken(*AT, value=3), "lacks benchmarks.kawhi_tiny.n"),
        (broken(*AT, "correct", value=KeyError), "lacks benchmarks.kawhi_tiny.correct"),
        (broken(*AT, "score", value=True), "wrong type"),
        (broken(*AT, "score", value=float("nan")), "not a percentage"),
        (broken(*AT, "score", value=float("inf")), "not a percentage"),
        (broken(*AT, "score", value=-0.1), "not a percentage"),
        (broken(*AT, "score", value=100.1), "not a percentage"),
        (broken(*AT, "score", value=0.52), "not 1040 of 2000"),
        (broken(*AT, "correct", value=2001), "not 2001 of 2000"),
        (broken(*AT, "n", value=0), "not 1040 of 0"),
        (ungrounded("grounding", value=KeyError), "lacks grounding"),
        (ungrounded("study", value=KeyError), "lacks algorithm"),
        (ungrounded("provenance", value="paper"), "provenance 'paper'"),
        (ungrounded("grounding", "image", value="black"), "image 'black'"),
        (ungrounded("grounding", "image", value="wrong_image"), "says study.image"),
        (ungrounded("config", "study", "name", value="training"), "says study.name"),
        (ungrounded("grounding", "alpha", value=KeyError), "lacks grounding.alpha"),
        (ungrounded("grounding", "alpha", value=None), "wrong type"),
        (ungrounded("grounding", "alpha", value=1.1), "outside [-1, 1]"),
        (ungrounded("grounding", "order", value=float("nan")), "outside [-1, 1]"),
        (ungrounded("grounding", "same_top", value=90.5), "outside [0, 1]"),
        (ungrounded("grounding", "weight_shift", value=-0.1), "outside [0, inf]"),
        (ungrounded("grounding", "log_prob", value=0.1), "outside [-inf, 0]"),
        (ungrounded("grounding", "log_prob", value=float("-inf")), "outside [-inf, 0]"),
        (ungrounded("grounding", "responses", value=0), "0 responses"),
        (ungrounded("grounding", "responses", value=200.0), "wrong type"),
        (ungrounded("grounding", "paragraphs", value=199), "199 paragraphs"),
        (ungrounded("grounding", "weight_shift", value=0.1, image="true_image"), "from itself"),
        (ungrounded("grounding", "same_top", value=0.9, image="true_image"), "from itself"),
    ],
)
@pytest.mark.parametrize("table", ["region_selection", "grounding"])
def test_one_broken_record_of_any_kind_stops_every_table(
    folder: Folder, capsys: pytest.CaptureFixture[str], content: dict[str, Any] | str, sentence: str, table: str
) -> None:
    folder.add(record("uniform", 1000), grounding_record("wrong_image"))
    folder.add(content, name="odd.json")
    assert folder.make(table) == 1
    printed = capsys.readouterr()
    assert "odd.json" in printed.err
    assert sentence in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out
    assert not folder.out.exists()


def test_a_score_rounded_to_two_decimals_is_consistent(folder: Folder) -> None:
    folder.add(broken(*AT, value={"title": "T", "metric": "accuracy", "n": 3, "correct": 1, "score": 33.33}))
    assert [m.score for m in read_records(folder.records)] == [33.33]


def test_both_kinds_lie_in_one_folder_and_are_read_apart(folder: Folder) -> None:
    folder.add(record("kawhi", 1040), changed(record("uniform", 1000), "study", value="training"))
    folder.add(grounding_record("blank"))
    assert [m.credit for m in read_records(folder.records)] == ["kawhi", "uniform"]
    (grounding,) = read_grounding(folder.records)
    assert (grounding.image, grounding.order, grounding.log_prob) == ("blank", 0.87, -1.25)


def columns(folder: Folder) -> int:
    return len({m.column for m in read_records(folder.records)})


def test_seeds_and_what_the_credit_method_brings_do_not_move_a_record_to_another_column(folder: Folder) -> None:
    folder.add(record("uniform", 1000), record("kawhi", 1040, options={"w_min": 0.1}))
    folder.add(record("kawhi", 1040, seeds={"data": 2, "rollout": 5, "regions": 7}))
    assert columns(folder) == 1


def test_a_benchmark_beside_it_does_not_move_a_record_to_another_column(folder: Folder) -> None:
    second = record("uniform", 1000)["benchmarks"] | {
        "mathvision": {"title": "MathVision", "metric": "accuracy", "n": 100, "correct": 30, "score": 30}
    }
    folder.add(record("uniform", 1000), record("kawhi", 1040, benchmarks=second))
    assert columns(folder) == 2


def test_a_seed_of_the_trainers_own_is_no_copy_of_the_cells(folder: Folder) -> None:
    folder.add(record("uniform", 1000))
    folder.add(changed(record("kawhi", 1040), "config", "verl", "data", "seed", value=9))
    assert columns(folder) == 2


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (record("kawhi", 1040), "same cell"),
        (changed(record("kawhi", 1000), "cell", "hash", value="x"), "equal seeds"),
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
    assert not folder.out.exists()
