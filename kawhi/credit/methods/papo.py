"""PAPO (arXiv 2507.06448): a policy that answers differently beside a masked image is rewarded for it, in the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kawhi.credit.methods.base import ResponseBatch, register
from kawhi.credit.methods.vppo import image_dependency


@register("papo")
@dataclass(frozen=True)
class Papo:
    """The base algorithm's advantages as they are, and a loss beside its own.

    The loss is ``-perception (exp(d) - d - 1) - entropy log p`` of a token, ``d`` being its log-probability beside the
    masked image minus the one beside the true image, ``log p``.  The former are those of the policy that made the
    responses, without a gradient, as in the authors' code.  The entropy beside the masked image, which the paper
    penalises, too, then has no gradient and is left out.

    Attributes:
        perception: gamma, the coefficient of the divergence that is maximised.
        entropy: eta, the coefficient of the penalty on entropy, estimated by the sampled tokens; 0 is none.

    Raises:
        ValueError: a coefficient that is negative or not finite.
    """

    perception: float
    entropy: float

    needs: ClassVar[frozenset[str]] = frozenset({"log_probs", "perturbed_log_probs"})

    def __post_init__(self) -> None:
        for name in ("perception", "entropy"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a finite number of at least 0, got {getattr(self, name)}")

    def weights(self, batch: ResponseBatch) -> Tensor:
        return torch.ones(len(batch.token_ids))

    def added_loss(self, log_probs: Tensor, signals: Mapping[str, Tensor]) -> Tensor:
        divergence = image_dependency(log_probs, signals["perturbed_log_probs"]).to(log_probs.dtype)
        return -self.perception * divergence - self.entropy * log_probs
