"""What the record says about time and health."""

import pytest

from kawhi.base.health import GRADIENT, KL
from kawhi.runs import record as module
from kawhi.runs.record import kawhi_share
from tests.cells import cell, metrics_row


def row(step: float, **kawhi: float) -> dict:
    return {"timing_s/step": step, **{f"timing_s/kawhi_{name}": value for name, value in kawhi.items()}}


def test_the_share_is_all_parts_over_all_steps_but_the_first():
    rows = [row(100.0, weights=50.0), row(4.0, weights=0.02, regions=0.03), row(6.0, weights=0.03, alignment=0.02)]
    assert kawhi_share(rows) == pytest.approx(0.1 / 10.0)


def test_one_step_is_all_there_is():
    assert kawhi_share([row(4.0, weights=0.04)]) == pytest.approx(0.01)


def test_a_run_without_kawhi_has_no_share():
    assert kawhi_share([row(4.0), row(5.0)]) is None


def test_an_accepted_training_may_lack_numbers(tmp_path):
    rows = [metrics_row(1), metrics_row(2, **{KL: None, GRADIENT: float("inf")})]
    health = module._training(cell(tmp_path), rows)["health"]
    assert health == {"correlation_min": 0.9999, "kl_max": 0.001, "grad_norm_max": 0.5}
    assert module._training(cell(tmp_path), [{**rows[0], KL: None}])["health"]["kl_max"] is None


def test_held_out_data_is_a_curve_where_it_was_scored(tmp_path):
    rows = [metrics_row(step) for step in (1, 2, 3)]
    assert "held_out" not in module._training(cell(tmp_path), rows)["training"]
    rows[1]["val-core/geo3k/acc/mean@1"] = 0.25
    assert module._training(cell(tmp_path), rows)["training"]["held_out"] == [None, 0.25, None]
