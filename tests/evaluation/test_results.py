"""Which evaluations a path stands for."""

from __future__ import annotations

import pytest

from kawhi.base.errors import CellError
from kawhi.evaluation.results import by_task, only_evaluation, open_evaluations, samples_of
from tests.evaluation.made import JUDGE, MADE, OTHER_JUDGE, TINY, known, make_run, of


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    known(monkeypatch)


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path)


def test_a_run_directory_stands_for_all_of_its_evaluations_and_a_folder_for_itself(run):
    made, tiny = of(run, MADE), of(run, TINY)
    assert open_evaluations(run.run.path) == [made, tiny]
    assert open_evaluations(run.run.path, TINY) == [tiny]
    assert by_task(run.run.path) == {MADE: made, TINY: tiny}
    assert open_evaluations(made.path) == [made]
    assert only_evaluation(made.path) == only_evaluation(run.run.path, MADE) == made
    with pytest.raises(CellError, match="has samples of kawhi_made, kawhi_tiny; choose one with --benchmark"):
        only_evaluation(run.run.path)


def test_a_benchmark_that_was_evaluated_in_two_ways_is_named_by_its_folder(tmp_path):
    places = [make_run(tmp_path, judge=judge) for judge in (JUDGE, OTHER_JUDGE)]
    path, folders = places[0].run.path, {of(place, MADE) for place in places}
    assert {*open_evaluations(path, MADE)} == folders
    for ask in (by_task, only_evaluation):
        with pytest.raises(CellError, match="kawhi_made was evaluated in several ways: name the folder") as refused:
            ask(path, MADE)
        assert all(str(each.path) in str(refused.value) for each in folders)
    assert only_evaluation(path, TINY) == of(places[0], TINY)


def test_what_has_no_samples_is_one_sentence(tmp_path, run):
    with pytest.raises(CellError, match="is not a run directory"):
        open_evaluations(tmp_path)
    with pytest.raises(CellError, match="has no samples of kawhi_nope; it has kawhi_made, kawhi_tiny"):
        open_evaluations(run.run.path, "kawhi_nope")
    for each in run.evaluations:
        (each.path / "samples.parquet").unlink()
        with pytest.raises(CellError, match="has no samples"):
            samples_of(each)
    with pytest.raises(CellError, match="has no samples yet"):
        open_evaluations(run.run.path)


def test_one_that_is_not_judged_yet_has_samples(run):
    made = of(run, MADE)
    (made.path / "score.json").unlink()
    made.record.unlink()
    assert open_evaluations(made.path) == [made]
