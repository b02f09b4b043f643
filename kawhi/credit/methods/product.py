"""Several methods at once: their weights are multiplied, for example KAWHI x FT-RL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from torch import Tensor

from kawhi.credit.methods.base import AddsLoss, ChangesAdvantages, CreditMethod, ResponseBatch, ShapesRewards, build
from kawhi.credit.readings import TRUTH


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


class ShapingProduct(Product):
    """A product of which a part shapes rewards; what parts add to them is added up."""

    def shaped_rewards(self, batch: ResponseBatch) -> Tensor:
        """Rewards with everything that the parts add."""
        base = batch.rewards
        if base is None:
            raise ValueError("no rewards to shape")
        added = [part.shaped_rewards(batch) - base for part in self.parts if isinstance(part, ShapesRewards)]
        return reduce(Tensor.add, added, base)


def configured(kawhi: Mapping[str, Any]) -> CreditMethod:
    """The method of a cell's ``kawhi`` block: ``method`` with its ``options``, times those in ``also``.

    Raises:
        ValueError, TypeError: as :func:`kawhi.credit.methods.build`.
        ValueError: methods that cannot be multiplied, or a loss that needs the truth.
    """
    first = build(kawhi["method"], **kawhi["options"])
    others = tuple(_also(name, options or {}) for name, options in (kawhi.get("also") or {}).items())
    if isinstance(first, AddsLoss) and first.needs & TRUTH:
        untold = ", ".join(sorted(first.needs & TRUTH))
        raise ValueError(f"{kawhi['method']} adds to the loss in the actor, where nobody knows {untold}")
    if not others:
        return first
    for kind, does in ((ChangesAdvantages, "changes advantages"), (AddsLoss, "adds to the loss")):
        if any(isinstance(part, kind) for part in (first, *others)):
            raise ValueError(f"a method that {does} cannot be multiplied with others: leave out kawhi.also")
    shaping = any(isinstance(part, ShapesRewards) for part in (first, *others))
    return (ShapingProduct if shaping else Product)((first, *others))


def _also(name: str, options: Mapping[str, Any]) -> CreditMethod:
    try:
        return build(name, **options)
    except TypeError as error:
        raise TypeError(
            f"kawhi.also.{name} takes all of its options, as in conf/credit/{name}.yaml: {error}"
        ) from error
