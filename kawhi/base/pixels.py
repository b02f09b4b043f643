"""How large an image may be in training, where a recipe has limits of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kawhi.base.errors import CellError


def pixel_limits(settings: Mapping[str, Any] | None) -> dict[str, int]:
    """``min_pixels`` and ``max_pixels`` of verl's block ``data``; empty where it has neither, and the model's own hold.

    Raises:
        CellError: one of them without the other, or more at least than at most.
    """
    found = {key: value for key in ("min_pixels", "max_pixels") if (value := (settings or {}).get(key)) is not None}
    if len(found) == 1 or (found and found["min_pixels"] > found["max_pixels"]):
        raise CellError(f"verl_added.data needs min_pixels and max_pixels, the smaller one first, not {found}")
    return found
