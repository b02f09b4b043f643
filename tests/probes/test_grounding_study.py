"""One block of numbers from many comparisons."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from kawhi.base.errors import CellError
from kawhi.probes.grounding import Comparison
from kawhi.probes.grounding_study import summary
from kawhi.records.schema import Grounding


def one(alpha: float, order: float | None, same_top: bool, shift: float, log_prob: float, *reading) -> Comparison:
    return Comparison(alpha, order, same_top, shift, log_prob, *reading)


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
        "reading_responses": 0,
        "reading_top": None,
        "reading_chance": None,
    }


def test_the_paragraph_that_reads_is_counted_where_it_is_known():
    rest = (1.0, True, 0.0, -1.0)
    found = [one(0.2, *rest, True, 0.25), one(0.2, *rest, False, 0.5), one(0.2, *rest), one(0.2, *rest, False, 0.25)]
    block = summary("blank", found, paragraphs=16)
    assert (block["responses"], block["reading_responses"]) == (4, 3)
    assert block["reading_top"] == pytest.approx(1 / 3, abs=1e-6)
    assert block["reading_chance"] == pytest.approx(1 / 3, abs=1e-6)
    assert Grounding(**block).reading_responses == 3
    with pytest.raises(ValidationError, match="reading_top and reading_chance of 0 responses"):
        Grounding(**block | {"reading_responses": 0})


def test_responses_of_one_paragraph_alone_measure_nothing():
    with pytest.raises(CellError, match="no response has two paragraphs"):
        summary("blank", [one(0.1, None, True, 0.0, -1.0)], paragraphs=1)
