"""KAWHI: paragraphs that look at the key regions get more of the advantage (sections 3.3-3.4, algorithm 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from kawhi.credit.methods.base import ResponseBatch, register
from kawhi.credit.options import check_choice
from kawhi.credit.segments import Granularity, packed_segments
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
        check_choice("granularity", self.granularity, Granularity)
        check_options(**self._weighting)

    def weights(self, batch: ResponseBatch) -> Tensor:
        segments = packed_segments(batch.token_ids, batch.offsets, batch.tokenizer, self.granularity)
        return packed_paragraph_weights(batch.signals["alignment"], segments, batch.offsets, **self._weighting)

    @property
    def _weighting(self) -> dict[str, Any]:
        """The options of equations 14-15."""
        return {name: getattr(self, name) for name in ("w_min", "w_max", "temperature", "smoothing", "normalize")}
