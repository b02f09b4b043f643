"""One block of numbers from many comparisons."""

from __future__ import annotations

import pytest

from kawhi.base.errors import CellError
from kawhi.probes.grounding import Comparison
from kawhi.probes.grounding_study import summary


def one(alpha: float, order: float | None, same_top: bool, shift: float, log_prob: float) -> Comparison:
    return Comparison(alpha, order, same_top, shift, log_prob)


def test_means_are_over_responses_and_orders_over_those_that_have_one():
    found = [one(0.2, 1.0, True, 0.0, -1.0), one(0.4, 0.0, False, 0.2, -2.0), one(0.0, None, True, 0.1, -3.0)]
    assert summary("blank", found, paragraphs=7) == {
        "image": "blank",
        "responses": 3,
        "paragraphs": 7,
        "alpha": pytest.approx(0.2),
        "order": pytest.approx(0.5),
        "same_top": pytest.approx(0.5),
        "weight_shift": pytest.approx(0.1),
        "log_prob": pytest.approx(-2.0),
    }


def test_responses_of_one_paragraph_alone_measure_nothing():
    with pytest.raises(CellError, match="no response has two paragraphs"):
        summary("blank", [one(0.1, None, True, 0.0, -1.0)], paragraphs=1)
