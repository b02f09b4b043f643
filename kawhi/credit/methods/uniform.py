"""Every token is worth the same: the base algorithm as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kawhi.credit.methods.base import ResponseBatch, register


@register("uniform")
@dataclass(frozen=True)
class Uniform:
    """Weight 1 everywhere, exactly, so advantages keep their bits."""

    needs: ClassVar[frozenset[str]] = frozenset()

    def weights(self, batch: ResponseBatch) -> Tensor:
        return torch.ones(len(batch.token_ids))
