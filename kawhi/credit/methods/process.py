"""A control that rewards the reading itself: paragraphs that read have an advantage of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kawhi.credit.advantages import group_advantages
from kawhi.credit.methods.base import ResponseBatch, register
from kawhi.credit.methods.oracle import Oracle
from kawhi.credit.readings import READING_RIGHT, READS


@register("process")
@dataclass(frozen=True)
class Process(Oracle):
    """The oracle's weights; what a reading is given is by its own verdict, compared within the group (equation 1)."""

    needs: ClassVar[frozenset[str]] = frozenset({READS, READING_RIGHT})

    def changed_advantages(self, batch: ResponseBatch, advantages: Tensor) -> Tensor:
        lengths = batch.offsets.diff()
        right = torch.segment_reduce(batch.signals[READING_RIGHT], "max", lengths=lengths, initial=0.0)
        own = torch.repeat_interleave(group_advantages(right, batch.groups), lengths)
        return torch.where(batch.signals[READS] == 1, own.to(advantages.dtype), advantages)
