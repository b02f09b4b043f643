"""ToR (Token-Reweighting): reasoning tokens and perception tokens get weights of their own, all others none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kawhi.credit.methods.base import ResponseBatch, register
from kawhi.credit.options import check_choice, check_share

Proxy = Literal["logp", "prob", "entropy"]
Difference = Literal["absolute", "signed"]
Types = Literal["both", "reasoning", "perception"]


@register("tor")
@dataclass(frozen=True)
class TokenReweighting:
    """Section 3 of the paper.

    Reasoning tokens are the top share by ``nucleus_entropy`` (equations 5-7), perception tokens the top share by the
    difference that the image makes (equations 8-9); both over the whole batch.  A token of both kinds takes the
    reasoning weight.  Of equal tokens the earlier one is taken.

    Attributes:
        reasoning_share, perception_share: shares of the batch's tokens.
        reasoning_weight, perception_weight: equation 10.
        proxy: the difference in log-probability, in probability, or in entropy.
        difference: of a token's signals with and without the image its size, or what the image adds.
        types: ``both``, or one kind alone (tables 1 and 2).

    Raises:
        ValueError: an option outside its range.
    """

    reasoning_share: float
    perception_share: float
    reasoning_weight: float
    perception_weight: float
    proxy: Proxy
    types: Types
    difference: Difference = "absolute"

    def __post_init__(self) -> None:
        for name in ("reasoning_share", "perception_share"):
            check_share(name, getattr(self, name))
        check_choice("proxy", self.proxy, Proxy)
        check_choice("types", self.types, Types)
        check_choice("difference", self.difference, Difference)

    @property
    def needs(self) -> frozenset[str]:
        """Signals of the chosen kinds and proxy only: a pass without the image costs time."""
        difference = {"entropy", "blank_entropy"} if self.proxy == "entropy" else {"log_probs", "blank_log_probs"}
        reasoning, perception = self.types != "perception", self.types != "reasoning"
        return frozenset(({"nucleus_entropy"} if reasoning else set()) | (difference if perception else set()))

    def weights(self, batch: ResponseBatch) -> Tensor:
        weights = torch.zeros(len(batch.token_ids))
        if self.types != "reasoning":
            weights[top_of_batch(self._sensitivity(batch), self.perception_share)] = self.perception_weight
        if self.types != "perception":
            chosen = top_of_batch(batch.signals["nucleus_entropy"], self.reasoning_share)
            weights[chosen] = self.reasoning_weight
        return weights

    def _sensitivity(self, batch: ResponseBatch) -> Tensor:
        added = self._added(batch)
        return added.abs() if self.difference == "absolute" else added

    def _added(self, batch: ResponseBatch) -> Tensor:
        """What the image adds: to a log-probability or a probability, or how far it lowers an entropy."""
        if self.proxy == "entropy":
            return batch.signals["blank_entropy"] - batch.signals["entropy"]
        seen, blank = batch.signals["log_probs"].double(), batch.signals["blank_log_probs"].double()
        return seen.exp() - blank.exp() if self.proxy == "prob" else seen - blank


def top_of_batch(values: Tensor, share: float) -> Tensor:
    """Indices of the :func:`top_count` largest of ``(S,)`` values; of equal ones the earlier."""
    return values.argsort(descending=True, stable=True)[: top_count(len(values), share)]


def top_count(tokens: int, share: float) -> int:
    """``floor(share S + 0.5)``, at least one of a batch that is not empty."""
    return min(tokens, max(1, int(round(share * tokens, 9) + 0.5)))
