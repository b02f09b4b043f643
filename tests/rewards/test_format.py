"""The form of a response."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kawhi.rewards.format import has_format, weighted

VERL = re.compile(r"<think>.*</think>.*\\boxed\{.*\}.*", re.DOTALL)  # verl.utils.reward_score.geo3k


@pytest.mark.parametrize(
    ("response", "good"),
    [
        ("<think>3 + 4</think> \\boxed{7}", True),
        ("<think>\n3 + 4\n</think>\nSo\n\\boxed{7}.", True),
        ("<think></think>\\boxed{}", True),
        ("3 + 4 = \\boxed{7}", False),
        ("<think>3 + 4 = \\boxed{7}</think>", False),
        ("<think>3 + 4 \\boxed{7}", False),
        (" <think>3 + 4</think> \\boxed{7}", False),
        ("<think>3 + 4</think> \\boxed{7", False),
        ("", False),
    ],
)
def test_think_then_box(response, good):
    assert has_format(response) is good


@given(st.lists(st.sampled_from(["<think>", "</think>", "\\boxed{", "}", "a", "\n"]), max_size=12).map("".join))
def test_same_as_verl(response):
    assert has_format(response) == bool(VERL.fullmatch(response))


def test_linear_time():
    start = time.process_time()
    assert not has_format("<think>" + "</think>" * 300_000 + "\\boxed{" * 300_000)
    assert time.process_time() - start < 1


def test_weight():
    assert weighted(1.0, 0.0, 0.1) == 0.9
    assert weighted(0.0, 1.0, 0.1) == 0.1
    assert weighted(1.0, 0.0, 0.0) == 1.0
    with pytest.raises(ValueError, match="format_weight"):
        weighted(1.0, 1.0, 1.5)
