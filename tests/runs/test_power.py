"""``kawhi plan --power``: power against a simulation and statsmodels, and what the command prints."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.stats import ttest_ind
from statsmodels.stats.power import NormalIndPower, TTestIndPower

from kawhi.commands.cli import main
from kawhi.runs.power import Design, design
from tests.cells import cell


@pytest.mark.parametrize(("effect", "seeds"), [(1.0, 10), (0.7, 20), (1.5, 6)])
def test_where_seeds_matter_alone_it_is_students_test(effect: float, seeds: int) -> None:
    expected = TTestIndPower().power(effect, seeds, 0.05)
    assert Design(0, 0, 1, 0.05).power(effect, 1.0, seeds) == pytest.approx(expected, abs=0.03)


def test_with_few_seeds_it_is_what_simulated_seeds_give() -> None:
    rng = np.random.default_rng(0)
    found = ttest_ind(rng.normal(3, 1, (4000, 4)), rng.normal(0, 1, (4000, 4)), axis=1).pvalue
    assert Design(0, 0, 1, 0.05).power(3, 1.0, 4) == pytest.approx(np.mean(found < 0.05), abs=0.06)


def test_where_items_matter_alone_seeds_do_not() -> None:
    expected = NormalIndPower(ddof=0).power(2 / 0.8, 1, 0.05, ratio=0)
    for seeds in (2, 50):
        assert Design(0.64, 0.01, 1, 0.05).power(2, 0, seeds) == pytest.approx(expected, abs=0.01)
    assert Design(0.64, 0.01, 1, 0.05).seeds(0.5, 0, 0.8) is None


def test_more_seeds_larger_effects_and_fewer_comparisons_have_more_power() -> None:
    own = Design(0.02, 0.3, 10, 0.05)
    assert own.power(1, 1, 3) < own.power(1, 1, 10) < own.power(2, 1, 10) < Design(0.02, 0.3, 1, 0.05).power(2, 1, 10)
    needed = own.seeds(1.5, 1, 0.8)
    assert needed is not None
    assert own.power(1.5, 1, needed) >= 0.8 > own.power(1.5, 1, needed - 1)
    effect = own.detectable(1, 5, 0.8)
    assert own.power(effect, 1, 5) >= 0.8 > own.power(effect - 0.01, 1, 5)


def test_a_design_counts_clusters_and_benchmarks(tmp_path) -> None:
    asked = cell(tmp_path, "benchmarks=ablation", "scale=h200x8", "model=qwen2_5_vl_7b", "data=geo3k")
    own = design(asked, 3)
    assumed = asked.power
    mathverse, mathvision = 3940 / (1 + 4 * assumed.correlation), 304
    variance = 1e4 * assumed.discordance * (1 / mathverse + 1 / mathvision) / 4
    assert own.lasting + own.passing == pytest.approx(variance)
    assert own.lasting == pytest.approx(assumed.lasting * variance)
    assert own.comparisons == 3


def test_the_command_prints_seeds_and_hours(tmp_path, capsys) -> None:
    places = [f"paths.{name}={tmp_path / name}" for name in ("runs", "records", "data")]
    assert main(["plan", "experiment=chart_table", "scale=h200x8", *places, "--power"]) == 0
    printed = capsys.readouterr().out
    assert "2 comparisons, benchmarks: CharXiv Desc, CharXiv Rea, ChartQA, ChartQAPro, ChartMimic" in printed
    needed = [int(count) for count in re.findall(r"(\d+) \([\d,]+ h\)", printed)]
    assert len(needed) >= 6
    assert min(needed) >= 2
    assert "seeds.rollout=0,1,2,3,4" in printed
    assert not any(tmp_path.iterdir()), "a plan writes nothing"


def test_one_cell_has_no_power(tmp_path, capsys) -> None:
    places = [f"paths.{name}={tmp_path / name}" for name in ("runs", "records", "data")]
    assert main(["plan", *places, "--power"]) == 1
    assert "power is that of a comparison" in capsys.readouterr().err
