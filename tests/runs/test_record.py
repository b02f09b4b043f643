"""What the record says about time."""

import pytest

from kawhi.runs.record import kawhi_share


def row(step: float, **kawhi: float) -> dict:
    return {"timing_s/step": step, **{f"timing_s/kawhi_{name}": value for name, value in kawhi.items()}}


def test_the_share_is_all_parts_over_all_steps_but_the_first():
    rows = [row(100.0, weights=50.0), row(4.0, weights=0.02, regions=0.03), row(6.0, weights=0.03, alignment=0.02)]
    assert kawhi_share(rows) == pytest.approx(0.1 / 10.0)


def test_one_step_is_all_there_is():
    assert kawhi_share([row(4.0, weights=0.04)]) == pytest.approx(0.01)


def test_a_run_without_kawhi_has_no_share():
    assert kawhi_share([row(4.0), row(5.0)]) is None
