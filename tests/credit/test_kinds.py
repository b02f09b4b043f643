"""Kinds of tokens, against the tokens that ToR itself takes where none are equal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kawhi.credit.kinds import KINDS, SHARE, kinds
from kawhi.credit.methods.tor import top_of_batch


def test_kinds_are_the_tokens_that_tor_takes():
    rng = np.random.default_rng(0)
    uncertainty, perception = rng.random(97), rng.random(97)
    reasoning, seeing = (set(top_of_batch(torch.tensor(v), SHARE).tolist()) for v in (uncertainty, perception))
    expected = reasoning - seeing, reasoning & seeing, seeing - reasoning, {*range(97)} - reasoning - seeing
    found = kinds(uncertainty, perception)
    assert tuple(found) == KINDS
    for own, tokens in zip(found.values(), expected, strict=True):
        assert {*np.flatnonzero(own).tolist()} == tokens
        assert {*own.tolist()} <= {0.0, 1.0}


def test_tokens_that_are_all_equal_are_of_each_kind_in_part():
    found = kinds(np.zeros(10), np.zeros(10))
    assert {kind: own[3] for kind, own in found.items()} == pytest.approx(
        {"reasoning": 0.21, "both": 0.09, "perception": 0.21, "neither": 0.49}
    )
