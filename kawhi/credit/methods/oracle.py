"""A control that knows which paragraphs read the image: what credit can gain at best, or lose at worst."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kawhi.credit.methods.base import ResponseBatch, register
from kawhi.credit.readings import READS


@register("oracle")
@dataclass(frozen=True)
class Oracle:
    """One weight in the paragraphs that read, another one elsewhere; the lower first makes it the anti-oracle.

    Raises:
        ValueError: a weight that is negative or not finite.
    """

    reading: float
    elsewhere: float

    needs: ClassVar[frozenset[str]] = frozenset({READS})

    def __post_init__(self) -> None:
        for name in ("reading", "elsewhere"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a finite number of at least 0, got {getattr(self, name)}")

    def weights(self, batch: ResponseBatch) -> Tensor:
        return torch.where(batch.signals[READS] == 1, self.reading, self.elsewhere)
