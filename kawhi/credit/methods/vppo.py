"""VPPO (arXiv 2510.09285): tokens and responses whose probability depends on the image count for more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from kawhi.credit.methods.base import ResponseBatch, register
from kawhi.credit.options import check_share


@register("vppo")
@dataclass(frozen=True)
class Vppo:
    """Token filter times response scale, both from the dependency of each token on the image.

    The minimum, maximum and mean over responses are those of the whole batch; the authors' code takes them per rank and
    per micro-batch, which depends on how a batch is split.

    Attributes:
        keep: share of each response's tokens that is trained, ``ceil(keep T)`` of them; of equal ones the earlier.
        scale_min: scale of the response that depends least; the others' follow from a mean scale of 1.

    Raises:
        ValueError: an option outside its range.
    """

    keep: float
    scale_min: float

    needs: ClassVar[frozenset[str]] = frozenset({"log_probs", "perturbed_log_probs"})

    def __post_init__(self) -> None:
        check_share("keep", self.keep)
        if not 0 <= self.scale_min <= 1:
            raise ValueError(f"scale_min must lie in [0, 1], got {self.scale_min}")

    def weights(self, batch: ResponseBatch) -> Tensor:
        dependency = image_dependency(batch.signals["log_probs"], batch.signals["perturbed_log_probs"])
        parts = [dependency[start:end] for start, end in pairwise(batch.offsets.tolist())]
        scale = response_scale(
            torch.stack([part.mean() if len(part) else part.sum() for part in parts]), self.scale_min
        )
        masks = [top_share(part, self.keep) * s for part, s in zip(parts, scale, strict=True)]
        return torch.cat(masks).float()


def image_dependency(log_probs: Tensor, perturbed: Tensor) -> Tensor:
    """``(S,)`` the k3 estimate of the divergence: ``exp(d) - d - 1`` with ``d = perturbed - log_probs``, clamped."""
    difference = (perturbed.double() - log_probs.double()).clamp(-20.0, 20.0)
    return (difference.exp() - difference - 1).clamp(0.0, 10.0)


def top_share(values: Tensor, keep: float) -> Tensor:
    """1 for the ``ceil(keep T)`` largest of ``(T,)`` values, 0 for the rest."""
    kept = values.argsort(descending=True, stable=True)[: math.ceil(round(keep * len(values), 9))]
    return torch.zeros_like(values).index_fill_(0, kept, 1.0)


def response_scale(dependency: Tensor, scale_min: float) -> Tensor:
    """``(B,)`` means of responses, min-max normalised and mapped to ``[scale_min, u]``; ``u`` makes their mean 1.

    All 1 where the responses do not differ.
    """
    spread = dependency.max() - dependency.min()
    if not spread > 0:
        return torch.ones_like(dependency)
    position = (dependency - dependency.min()) / spread
    return scale_min + (1 - scale_min) / position.mean() * position
