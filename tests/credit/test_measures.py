"""What is known of tokens from signals, against the formulas written out."""

from __future__ import annotations

import math

import pytest
import torch

from kawhi.credit.measures import MEASURES, known, own

SIGNALS = {
    "log_probs": torch.tensor([-0.1, -2.0]),
    "blank_log_probs": torch.tensor([-0.6, -1.0]),
    "perturbed_log_probs": torch.tensor([-0.4, -2.0]),
    "entropy": torch.tensor([0.5, 1.5]),
    "blank_entropy": torch.tensor([0.75, 1.0]),
    "nucleus_entropy": torch.tensor([0.4, 1.4]),
    "alignment": torch.tensor([-0.1, 0.1]),
}
EXPECTED = {
    "log_probs": [-0.1, -2.0],
    "logp_diff": [0.5, -1.0],
    "prob_diff": [math.exp(-0.1) - math.exp(-0.6), math.exp(-2) - math.exp(-1)],
    "entropy_diff": [0.25, -0.5],
    "dependency": [math.exp(-0.3) + 0.3 - 1, 0.0],
    "entropy": [0.5, 1.5],
    "nucleus_entropy": [0.4, 1.4],
    "alignment": [-0.1, 0.1],
}


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_its_formula(name):
    assert MEASURES[name].made(SIGNALS).tolist() == pytest.approx(EXPECTED[name], abs=1e-6)
    sizes = [abs(value) for value in EXPECTED[name]] if MEASURES[name].low == 0 else EXPECTED[name]
    assert MEASURES[name].sizes(SIGNALS).tolist() == pytest.approx(sizes, abs=1e-6)


def test_what_is_known_is_what_the_signals_are_enough_for():
    assert set(known(SIGNALS)) == set(MEASURES)
    blank = {name: SIGNALS[name] for name in ("log_probs", "blank_log_probs")}
    assert set(known(blank)) == {"log_probs", "logp_diff", "prob_diff"}
    assert set(own(blank)) == {"logp_diff", "prob_diff"}
    assert set(own({"log_probs": SIGNALS["log_probs"]})) == {"log_probs"}
    assert own({}) == {}
