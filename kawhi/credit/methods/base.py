"""What a credit method is: it names the signals it needs and turns them into one weight per response token."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


class _Signals(dict[str, Tensor]):
    """Signals by name; of one that is not there it says why."""

    def __missing__(self, name: str) -> Tensor:
        has = ", ".join(sorted(self)) or "none"
        raise KeyError(f"there is no signal {name} here, only {has}: a method gets those that it names in `needs`")


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "signals", _Signals(self.signals))


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
        RuntimeError: as :func:`weights_of`.
    """
    weights = weights_of(method, batch)
    if isinstance(method, ChangesAdvantages):
        advantages = method.changed_advantages(batch, advantages)
    return advantages, weights.to(advantages.dtype)


def weights_of(method: CreditMethod, batch: ResponseBatch) -> Tensor:
    """The ``(S,)`` weights of a method.

    Raises:
        RuntimeError: weights that are not one per token, or not finite.
    """
    weights, name = method.weights(batch), type(method).__name__
    if not isinstance(weights, Tensor):
        raise RuntimeError(f"{name} returned {type(weights).__name__} for weights, which are a tensor")
    if weights.shape != batch.token_ids.shape:
        shapes = f"of shape {tuple(weights.shape)}, and a token of a response needs one: {tuple(batch.token_ids.shape)}"
        raise RuntimeError(f"{name} returned weights {shapes}")
    if odd := int((~torch.isfinite(weights)).sum()):
        raise RuntimeError(f"{name} returned weights of which {odd} of {len(weights)} are not finite")
    return weights


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
        TypeError: an option the method does not have, or a method without ``needs``.
    """
    if name not in METHODS:
        raise ValueError(f"unknown credit method {name!r}; known: {', '.join(sorted(METHODS))}")
    known = inspect.signature(METHODS[name]).parameters
    takes_all = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values())
    if not takes_all and (odd := sorted(options.keys() - known.keys())):
        has = f"it has {', '.join(known)}" if known else "it has none: options are the fields of a dataclass"
        raise TypeError(f"there is no option {odd[0]}; {has}")
    method = METHODS[name](**options)
    if not isinstance(getattr(method, "needs", None), AbstractSet):
        raise TypeError("its `needs` must be the set of signals that it takes: frozenset() where it takes none")
    return method
