"""KAWHI: paragraphs that look at the key regions get more of the advantage (sections 3.3-3.4, algorithm 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from kawhi.credit.methods.base import ResponseBatch, register
from kawhi.credit.segments import GRANULARITIES, Granularity, packed_segments
from kawhi.credit.weights import Normalization, check_options, packed_paragraph_weights


@register("kawhi")
@dataclass(frozen=True)
class Kawhi:
    """Equations 14-15 on the ``alignment`` signal (alpha of equation 13).  Options as in ``conf/credit/kawhi.yaml``."""

    granularity: Granularity
    w_min: float
    w_max: float
    temperature: float
    smoothing: float
    normalize: Normalization

    needs: ClassVar[frozenset[str]] = frozenset({"alignment"})

    def __post_init__(self) -> None:
        if self.granularity not in GRANULARITIES:
            raise ValueError(f"unknown granularity {self.granularity!r}; choose one of {', '.join(GRANULARITIES)}")
        check_options(
            w_min=self.w_min,
            w_max=self.w_max,
            temperature=self.temperature,
            smoothing=self.smoothing,
            normalize=self.normalize,
        )

    def weights(self, batch: ResponseBatch) -> Tensor:
        return packed_paragraph_weights(
            batch.signals["alignment"],
            packed_segments(batch.token_ids, batch.offsets, batch.tokenizer, self.granularity),
            batch.offsets,
            w_min=self.w_min,
            w_max=self.w_max,
            temperature=self.temperature,
            smoothing=self.smoothing,
            normalize=self.normalize,
        )
