"""Several methods at once: their weights are multiplied, for example KAWHI x FT-RL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from torch import Tensor

from kawhi.credit.methods.base import CreditMethod, ResponseBatch, build


@dataclass(frozen=True)
class Product:
    """Product of the weights of its parts."""

    parts: tuple[CreditMethod, ...]

    @property
    def needs(self) -> frozenset[str]:
        """Everything that any of the parts needs."""
        return frozenset[str]().union(*(part.needs for part in self.parts))

    def weights(self, batch: ResponseBatch) -> Tensor:
        return reduce(Tensor.mul, (part.weights(batch) for part in self.parts))


def configured(kawhi: Mapping[str, Any]) -> CreditMethod:
    """The method of a cell's ``kawhi`` block: ``method`` with its ``options``, times those in ``also``.

    Raises:
        ValueError, TypeError: as :func:`kawhi.credit.methods.build`.
    """
    first = build(kawhi["method"], **kawhi["options"])
    others = tuple(build(name, **(options or {})) for name, options in (kawhi.get("also") or {}).items())
    return Product((first, *others)) if others else first
