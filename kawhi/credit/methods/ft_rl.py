"""FT-RL ("80/20", arXiv 2506.01939): only the tokens where the policy hesitates are trained."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor

from kawhi.credit.methods.base import ResponseBatch, register
from kawhi.credit.options import check_choice, check_share

Scope = Literal["batch", "response"]


@register("ft_rl")
@dataclass(frozen=True)
class ForkingTokens:
    """Weight 1 where the ``entropy`` signal is at or above a percentile, 0 elsewhere.

    Attributes:
        keep: share of tokens kept, 0.2 for the 80th percentile.  Ties at the percentile are all kept.
        scope: percentile of the whole batch, or of each response.

    Raises:
        ValueError: an option outside its range.
    """

    keep: float
    scope: Scope

    needs: ClassVar[frozenset[str]] = frozenset({"entropy"})

    def __post_init__(self) -> None:
        check_share("keep", self.keep)
        check_choice("scope", self.scope, Scope)

    def weights(self, batch: ResponseBatch) -> Tensor:
        entropy = batch.signals["entropy"]
        if self.scope == "batch":
            return self._mask(entropy)
        return torch.cat([self._mask(entropy[start:end]) for start, end in pairwise(batch.offsets.tolist())])

    def _mask(self, entropy: Tensor) -> Tensor:
        if len(entropy) == 0:
            return entropy.float()
        # Sorting instead of torch.quantile, which refuses more than 16 million values.
        position = (1 - self.keep) * (len(entropy) - 1)
        ordered = entropy.double().sort().values
        low = ordered[int(position)]
        high = ordered[min(int(position) + 1, len(entropy) - 1)]
        percentile = low + (position - int(position)) * (high - low)
        return (entropy.double() >= percentile).float()
