"""What is to be known of a model family: where its queries and keys are, and what it makes of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image
from torch import Tensor, nn

from kawhi.models.capture import unwrapped
from kawhi.models.families.view import View

Rotate = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""The library's rotary function: queries and keys ``(1, H, R, d)``, cosines and sines, the same two rotated."""


@dataclass(frozen=True)
class Projections:
    """Where the queries and keys of an attention leave a module for the rotary embedding.

    Attributes:
        queries, keys: modules whose output is ``(B, S, H * d)`` or ``(B, S, H, d)``, normalised where the model does so
        rotate: what the model does to them next.
    """

    queries: nn.Module
    keys: nn.Module
    rotate: Rotate


class Family(Protocol):
    """What a file of this folder says, of a model whose language model is at ``model.model.language_model``."""

    def projections(self, attention: Any) -> Projections:
        """Of the attention of one decoder layer."""
        ...

    def understands(self, processor: Any) -> bool:
        """Whether a processor is one of the family's."""
        ...

    def views(self, image: Image.Image, processor: Any) -> list[View]:
        """What the model sees of one image, in the order of its visual tokens."""
        ...


FAMILIES: dict[str, Family] = {}
"""``model_type`` of a checkpoint's ``config.json`` -> the family."""


def register(*model_types: str) -> Callable[[type], type]:
    """Class decorator: the family of checkpoints whose ``config.json`` says one of these."""

    def decorate(cls: type) -> type:
        FAMILIES.update(dict.fromkeys(model_types, cls()))
        return cls

    return decorate


def family_of(model: Any) -> Family:
    """The family of a model, also inside what a trainer puts around it.

    Raises:
        ValueError: none that is known; the message lists those that are.
    """
    name = unwrapped(model).config.model_type
    if name not in FAMILIES:
        raise ValueError(
            f"models of the family {name} cannot be read: choose one of {', '.join(sorted(FAMILIES))}, or add it "
            "(docs/adding_a_family.md)"
        )
    return FAMILIES[name]


def family_of_processor(processor: Any) -> Family:
    """The family of a processor.

    Raises:
        ValueError: none that is known; the message lists those that are.
    """
    for family in FAMILIES.values():
        if family.understands(processor):
            return family
    raise ValueError(
        f"{type(processor).__name__} is no processor of {', '.join(sorted(FAMILIES))}; how to add another family says "
        "docs/adding_a_family.md"
    )
