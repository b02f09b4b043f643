"""The untrained model has the paper's score, or nothing is trained."""

from __future__ import annotations

import numpy as np
import pytest

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.runs import gate
from kawhi.runs.cell_folders import place_of
from tests.cells import cell, options

TINY = "+gate.scores={tiny-qwen2.5-vl: {kawhi_tiny: 40}}"


@pytest.mark.parametrize(("paper", "n"), [(67.47, 3000), (23.36, 304), (50.0, 1000)])
def test_two_right_measurements_differ_by_more_than_the_interval_as_often_as_stated(paper, n):
    draws = np.random.default_rng(0).binomial(n, paper / 100, size=(2, 200_000)) * 100 / n
    low, high = gate.interval(paper, n, 0.95)
    outside = np.mean(np.abs(draws[0] - draws[1]) > (high - low) / 2)
    assert outside == pytest.approx(0.05, abs=0.01)
    assert (low + high) / 2 == pytest.approx(paper)


def test_an_interval_stays_within_percent():
    assert gate.interval(0.5, 20, 0.99)[0] == 0
    assert gate.interval(99.5, 20, 0.99)[1] == 100


def baseline_with(folder, score: float):
    asked = cell(folder, "study=baseline", TINY)
    evaluations = place_of(asked).evaluations
    for each in evaluations:
        write_json(each.record, {"result": {"n": 1000, "problems": 1000, "score": score}})
    return asked, evaluations


def test_a_score_inside_passes(tmp_path):
    found = gate.findings(*baseline_with(tmp_path, 44.0))
    assert [finding.passed for finding in found] == [True]
    gate.refuse(found, tmp_path)


@pytest.mark.parametrize("score", [30.0, 50.0])
def test_a_score_outside_stops(tmp_path, score):
    found = gate.findings(*baseline_with(tmp_path, score))
    with pytest.raises(CellError, match=rf"on kawhi_tiny: {score:.2f} is outside \[34.36, 45.64\], paper 40.00"):
        gate.refuse(found, tmp_path)


def test_only_cells_that_train_and_are_evaluated_on_a_known_score_are_gated(tmp_path):
    assert gate.gated(cell(tmp_path, TINY))
    assert not gate.gated(cell(tmp_path))
    for study in ("baseline", "timing", "grounding"):
        assert not gate.gated(cell(tmp_path, TINY, f"study={study}"))
    assert not gate.gated(cell(tmp_path, TINY, "model=tiny_qwen3_vl"))


@pytest.mark.parametrize("benchmarks", sorted(set(options("benchmarks")) - {"tiny"}))
def test_the_main_model_is_gated_on_every_benchmark_of_the_papers(tmp_path, benchmarks):
    asked = cell(tmp_path, "scale=h200x8", "model=qwen2_5_vl_7b", f"benchmarks={benchmarks}")
    known = asked.gate.scores["qwen2.5-vl-7b"]
    assert set(known) == {benchmark.task for benchmark in asked.benchmarks}


def test_what_ships_stops_a_table(tmp_path):
    assert cell(tmp_path).gate.stop is True
