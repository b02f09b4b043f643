"""How long a cell takes where nothing was measured."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from kawhi.credit.methods import configured
from kawhi.credit.methods.base import further_passes
from kawhi.runs.estimate import devices, evaluation_hours, step_seconds
from kawhi.verl_plugin import trainer_signals
from tests.cells import cell, options

FULL = ("scale=h200x8", "model=qwen2_5_vl_7b", "data=geo3k", "benchmarks=math")


def hours(folder, *words: str) -> float:
    asked = cell(folder, *FULL, *words)
    return step_seconds(asked) * devices(asked) / 3600


def test_half_the_gpus_take_twice_the_time(tmp_path):
    assert hours(tmp_path) == pytest.approx(540.6 * 8 / 3600)
    assert hours(tmp_path, "verl.trainer.n_gpus_per_node=4") == pytest.approx(hours(tmp_path))
    assert hours(tmp_path, "verl.trainer.nnodes=2") == pytest.approx(hours(tmp_path))
    assert hours(tmp_path, "scale.efficiency=0.5") == pytest.approx(2 * hours(tmp_path))


def test_what_a_step_does_beside_grpo_s(tmp_path):
    plain = hours(tmp_path, "credit=uniform")
    assert hours(tmp_path, "credit=uniform", "algorithm=dapo") == pytest.approx(2 * 1.5 * plain)
    dull = ("algorithm=dapo", "verl.algorithm.filter_groups.enable=false")
    assert hours(tmp_path, "credit=uniform", *dull) == pytest.approx(2 * plain)
    assert hours(tmp_path, "credit=vppo") == pytest.approx(1.1 * plain)
    assert hours(tmp_path, "credit=ft_rl") == pytest.approx(plain)
    assert hours(tmp_path, "credit=uniform", "kawhi.method=off") == pytest.approx(plain)


@pytest.mark.parametrize("credit", options("credit"))
def test_passes_are_those_that_the_trainer_makes(tmp_path, credit):
    kawhi = OmegaConf.create(OmegaConf.to_container(cell(tmp_path, f"credit={credit}").kawhi, resolve=True))
    needs = configured(OmegaConf.to_container(kawhi)).needs
    assert further_passes(needs) == len(list(trainer_signals.further_passes(needs, kawhi, step=1)))


def test_an_evaluation_costs_its_samples_and_its_judge(tmp_path):
    asked = cell(tmp_path, *FULL)
    found = {each.task: evaluation_hours(asked, each) * 3600 for each in asked.benchmarks}
    assert found["kawhi_mathvision"] == pytest.approx(304 * 1.5)
    assert found["kawhi_mathvista"] == pytest.approx(3 * 1000 * 1.5), "three prompts"
    assert found["kawhi_wemath"] == pytest.approx(1740 * 1.0), "a rule decides"
    tiny = cell(tmp_path)
    assert evaluation_hours(tiny, tiny.benchmarks[0]) * 3600 == pytest.approx(70)
