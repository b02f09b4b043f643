"""Several methods at once: their weights are multiplied, for example KAWHI x FT-RL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from torch import Tensor

from kawhi.credit.methods.base import CreditMethod, ResponseBatch, build, register


@register("product")
@dataclass(frozen=True)
class Product:
    """Product of the weights of ``methods``: name -> its options.

    Raises:
        ValueError: fewer than two methods, or an unknown one.
    """

    methods: Mapping[str, Mapping[str, Any]]
    parts: tuple[CreditMethod, ...] = field(init=False)

    def __post_init__(self) -> None:
        if len(self.methods) < 2:
            raise ValueError("a product needs at least two methods")
        object.__setattr__(self, "parts", tuple(build(name, **options) for name, options in self.methods.items()))

    @property
    def needs(self) -> frozenset[str]:
        """Everything that any of the methods needs."""
        return frozenset().union(*(part.needs for part in self.parts))

    def weights(self, batch: ResponseBatch) -> Tensor:
        return reduce(Tensor.mul, (part.weights(batch) for part in self.parts))
