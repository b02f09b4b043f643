"""All weights of a batch: segmentation and equations 14-15, from token ids and alpha to one number per token."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.races import Race, Target
from benchmarks.vocabulary import Vocabulary, responses
from kawhi.credit.methods.base import ResponseBatch, build
from kawhi.credit.segments import segment_response
from kawhi.credit.weights import paragraph_weights

RESPONSES, TOKENS = 2560, 1000  # 512 prompts, 5 responses each
OPTIONS: dict[str, Any] = dict(w_min=0.1, w_max=1.0, temperature=0.1, smoothing=0.1, normalize="paper")
ONE_BY_ONE = "one call per response"
TARGET = Target("all weights of 2,560 responses of 1,000 tokens in under 100 ms", None, "at_most", 100)


@pytest.mark.parametrize(("granularity", "paragraphs"), [("paragraph", 8), ("paragraph", 100), ("sentence", 8)])
def test_weights(race, publish, granularity, paragraphs):
    vocabulary = Vocabulary()
    ids = responses(RESPONSES, TOKENS, paragraphs)
    alpha = torch.from_numpy(np.random.default_rng(0).normal(0, 0.05, len(ids)).astype(np.float32))
    offsets = torch.arange(0, len(ids) + 1, TOKENS)
    batch = ResponseBatch(ids, offsets, {"alignment": alpha}, vocabulary)
    method = build("kawhi", granularity=granularity, **OPTIONS)

    def one_by_one() -> torch.Tensor:
        parts = zip(ids.split(TOKENS), alpha.split(TOKENS), strict=True)
        return torch.cat(
            [paragraph_weights(a, segment_response(i, vocabulary, granularity), **OPTIONS) for i, a in parts]
        )

    torch.testing.assert_close(method.weights(batch), one_by_one())
    last = segment_response(ids[:TOKENS], vocabulary, granularity)[-1]
    quick: dict[str, int] = dict(rounds=20) if granularity == "paragraph" else dict(rounds=3, calls=1)
    kawhi, rivals = race(lambda: method.weights(batch), {}, slow={ONE_BY_ONE: one_by_one}, slow_rounds=3, **quick)
    setting = f"{int(last) + 1} {granularity}s in the first response, one core"
    milliseconds = {ONE_BY_ONE: 1e3 * rivals[ONE_BY_ONE]}
    publish(Race("weights", setting, "ms", 1e3 * kawhi, milliseconds, [TARGET] if granularity == "paragraph" else ()))
