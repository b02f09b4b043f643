"""Responses of one evaluation for another one that asked the same."""

from __future__ import annotations

import json
import shutil

import pytest

from kawhi.evaluation import responses_again as module
from kawhi.evaluation.responses_again import ORIGIN, take_responses, with_own_responses, without_verdict
from kawhi.evaluation.results import GENERATION, SCORE, images_of, samples_of
from tests.evaluation.made import JUDGE, MADE, OTHER_JUDGE, TINY, asked_for, known, made_cell, make_run, of


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    known(monkeypatch)


@pytest.fixture
def first(tmp_path):
    return of(make_run(tmp_path), MADE)


def another(folder, *overrides, judge=OTHER_JUDGE):
    """Another evaluation of the made benchmark, of which nothing is done."""
    return of(asked_for(made_cell(folder, *overrides, judge=judge)), MADE)


def test_another_judge_gets_the_responses_without_verdicts(tmp_path, first):
    second = another(tmp_path)
    take_responses(second)
    assert samples_of(second) == [*map(without_verdict, samples_of(first))]
    assert not any(each.replies or each.parts for each in samples_of(second))
    assert images_of(second) == images_of(first)
    for name in (GENERATION, "responses.jsonl"):
        assert (second.path / name).read_bytes() == (first.path / name).read_bytes()
    assert not (second.path / SCORE).exists()
    assert json.loads((second.path / ORIGIN).read_text()) == {"from": first.path.name}


@pytest.mark.parametrize("override", ["temperature=0.5", "seed=1", "max_new_tokens=7", "backend=vllm"])
def test_what_asks_otherwise_takes_nothing(tmp_path, first, override):
    second = another(tmp_path, f"evaluation.{override}")
    assert second.evaluated == first.evaluated
    take_responses(second)
    assert not (second.path / GENERATION).exists()


def test_another_option_of_the_benchmark_takes_nothing(tmp_path, first):
    config = made_cell(tmp_path, judge=OTHER_JUDGE)
    config.benchmarks[1].problems = 3
    second = of(asked_for(config), MADE)
    take_responses(second)
    assert not (second.path / GENERATION).exists()


def test_how_long_one_waits_and_what_a_benchmark_is_called_is_not_asked(tmp_path, first):
    config = made_cell(tmp_path, "evaluation.server.timeout=7", "evaluation.server.patience=9", judge=OTHER_JUDGE)
    config.benchmarks[1].title = "Another title"
    second = of(asked_for(config), MADE)
    take_responses(second)
    assert (second.path / GENERATION).exists()


def test_unfinished_responses_are_not_taken(tmp_path, first):
    (first.path / GENERATION).unlink()
    second = another(tmp_path)
    take_responses(second)
    assert [*second.path.iterdir()] == [second.config]


def test_another_model_s_responses_are_not_taken(tmp_path, first):
    elsewhere = another(tmp_path / "other")
    take_responses(elsewhere)
    assert not (elsewhere.path / GENERATION).exists()


@pytest.mark.parametrize("at", ["copyfile", "write_samples", "write_atomically"])
def test_a_copy_that_was_interrupted_is_made_again(tmp_path, first, monkeypatch, at):
    def stop(*_):
        raise KeyboardInterrupt

    second = another(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil if at == "copyfile" else module, at, stop)
        with pytest.raises(KeyboardInterrupt):
            take_responses(second)
    assert not (second.path / GENERATION).exists()  # so it does not count
    take_responses(second)
    assert len(samples_of(second)) == len(samples_of(first))
    assert (second.path / GENERATION).exists()


def test_those_with_their_own_responses_stand_for_a_run(tmp_path, first):
    second = another(tmp_path)
    take_responses(second)
    tiny = next(each for each in first.evaluated.evaluations() if each.task == TINY)
    assert with_own_responses(first.evaluated.path) == [first, tiny]
    assert with_own_responses(second.path) == [second]  # which was named


def test_responses_whose_first_evaluation_is_gone_stand_for_a_run(tmp_path, first):
    second = another(tmp_path)
    take_responses(second)
    for each in first.evaluated.evaluations():
        if each != second:
            shutil.rmtree(each.path)
    assert with_own_responses(first.evaluated.path) == [second]


def test_the_same_judge_asked_again_is_the_same_evaluation(tmp_path, first):
    assert another(tmp_path, judge=JUDGE) == first
