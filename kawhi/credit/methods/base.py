"""What a credit method is: it names the signals it needs and turns them into one weight per response token."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True)
class ResponseBatch:
    """All responses of a training batch, concatenated.

    Attributes:
        token_ids: ``(S,)`` response tokens.
        offsets: ``(B + 1,)`` where each response starts; the last entry is ``S``.
        signals: name -> ``(S,)`` per-token values, exactly those the method ``needs``: ``alignment`` (alpha of equation
            13), ``log_probs`` and ``entropy`` of the old policy, ``nucleus_entropy``, and from passes with other images
            ``perturbed_log_probs`` (some patches black), ``blank_log_probs`` and ``blank_entropy`` (all black).  Where
            the data says what has to be read, ``reads`` and ``reading_right`` (:mod:`kawhi.credit.readings`).
        tokenizer: the policy's tokenizer.
        groups: prompt of each of the B responses.
        correct: ``(B,)`` bool, the verifier's verdict.
        rewards: ``(B,)`` of the base algorithm, with its penalties.
    """

    token_ids: Tensor
    offsets: Tensor
    signals: Mapping[str, Tensor]
    tokenizer: Any
    groups: Sequence[Hashable] = ()
    correct: Tensor | None = None
    rewards: Tensor | None = None


class CreditMethod(Protocol):
    """A credit method.  ``needs`` lists the signals that the trainer gathers, see :class:`ResponseBatch`."""

    @property
    def needs(self) -> frozenset[str]: ...

    def weights(self, batch: ResponseBatch) -> Tensor:
        """``(S,)`` finite factors of the base advantages."""
        ...


@runtime_checkable
class ShapesRewards(Protocol):
    """A credit method that also changes the rewards, before advantages are computed from them."""

    def shaped_rewards(self, batch: ResponseBatch) -> Tensor:
        """``(B,)`` rewards in place of ``batch.rewards``."""
        ...


@runtime_checkable
class ChangesAdvantages(Protocol):
    """A credit method that weights other advantages than the base algorithm's."""

    def changed_advantages(self, batch: ResponseBatch, advantages: Tensor) -> Tensor:
        """``(S,)`` in place of the base algorithm's ``(S,)``, before they are multiplied by the weights."""
        ...


@runtime_checkable
class AddsLoss(Protocol):
    """A credit method that adds a term of its own to the policy's loss."""

    def added_loss(self, log_probs: Tensor, signals: Mapping[str, Tensor]) -> Tensor:
        """What each token adds to the loss, before it is averaged as the base algorithm's loss is.

        Args:
            log_probs: ``(S,)`` of the policy that is being updated; the gradient goes through them.
            signals: those the method ``needs``, ``(S,)`` each, of the policy that made the responses.  They are a
                micro-batch's, so a token's term must not depend on other tokens.

        Returns:
            ``(S,)``
        """
        ...


def credit(method: CreditMethod, batch: ResponseBatch, advantages: Tensor) -> tuple[Tensor, Tensor]:
    """The ``(S,)`` advantages that a method weights, which are the base algorithm's for most, and its ``(S,)`` weights.

    Raises:
        RuntimeError: weights that are not finite or not one per token.
    """
    weights = method.weights(batch)
    if len(weights) != len(batch.token_ids) or not bool(torch.isfinite(weights).all()):
        raise RuntimeError(f"{type(method).__name__} returned weights that are not finite or not one per token")
    if isinstance(method, ChangesAdvantages):
        advantages = method.changed_advantages(batch, advantages)
    return advantages, weights.to(advantages.dtype)


OTHER_IMAGES = ("perturbed", "blank")
"""First words of the signals that come of passes with other images."""


def further_passes(needs: frozenset[str]) -> int:
    """Forward passes beside the one of the old log-probs that a method's signals take."""
    return len({word for word in OTHER_IMAGES for name in needs if name.startswith(f"{word}_")})


METHODS: dict[str, Callable[..., CreditMethod]] = {}


def register(name: str) -> Callable[[type], type]:
    """Class decorator: makes a method available as ``kawhi.method=<name>``."""

    def decorate(cls: type) -> type:
        if name in METHODS:
            raise ValueError(f"a credit method named {name!r} is already registered")
        METHODS[name] = cls
        return cls

    return decorate


def build(name: str, **options: Any) -> CreditMethod:
    """The registered method with its options.

    Raises:
        ValueError: unknown name; the message lists the known ones.
        TypeError: an option the method does not have.
    """
    if name not in METHODS:
        raise ValueError(f"unknown credit method {name!r}; known: {', '.join(sorted(METHODS))}")
    return METHODS[name](**options)
