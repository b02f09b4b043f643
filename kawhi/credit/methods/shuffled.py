"""A control: KAWHI's weights, dealt out among the paragraphs of a response by chance."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from kawhi.credit.methods.base import ResponseBatch, register
from kawhi.credit.methods.kawhi import Kawhi
from kawhi.credit.segments import packed_segments


@register("shuffled")
@dataclass(frozen=True)
class Shuffled(Kawhi):
    """KAWHI's weights, permuted among the paragraphs (sentences, tokens) of each response.

    The permutation follows from the seed and the response's tokens, so that it does not depend on where a response
    stands in the batch, and that equal responses have equal weights.
    """

    seed: int

    def weights(self, batch: ResponseBatch) -> Tensor:
        weights = super().weights(batch)
        segments = packed_segments(batch.token_ids, batch.offsets, batch.tokenizer, self.granularity)
        for start, end in pairwise(batch.offsets.tolist()):
            own, first = torch.unique_consecutive(segments[start:end], return_counts=True)
            heads = first.cumsum(0) - first
            rng = random.Random(f"{self.seed}/{batch.token_ids[start:end].tolist()}")
            dealt = rng.sample(range(len(own)), len(own))
            weights[start:end] = weights[start:end][heads][dealt].repeat_interleave(first)
        return weights
