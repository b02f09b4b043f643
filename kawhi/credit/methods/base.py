"""What a credit method is: it names the signals it needs and turns them into one weight per response token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor


@dataclass(frozen=True)
class ResponseBatch:
    """All responses of a training batch, concatenated.

    Attributes:
        token_ids: ``(S,)`` response tokens.
        offsets: ``(B + 1,)`` where each response starts; the last entry is ``S``.
        signals: name -> ``(S,)`` per-token values, exactly those the method ``needs``.
        tokenizer: the policy's tokenizer.
    """

    token_ids: Tensor
    offsets: Tensor
    signals: Mapping[str, Tensor]
    tokenizer: Any


class CreditMethod(Protocol):
    """A credit method.  ``needs`` lists signals the trainer gathers; today that is ``alignment``."""

    needs: ClassVar[frozenset[str]]

    def weights(self, batch: ResponseBatch) -> Tensor:
        """``(S,)`` finite factors of the base advantages."""
        ...


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
