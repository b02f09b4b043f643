"""Options outside their range, refused in a sentence."""

from __future__ import annotations

from typing import Any, get_args


def check_choice(name: str, value: str, known: Any) -> None:
    """Raises:
    ValueError: the value is none of a ``Literal``'s; the message lists those.
    """
    if value not in get_args(known):
        raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(get_args(known))}")


def check_share(name: str, value: float) -> None:
    """Raises:
    ValueError: the value is no share of anything, or none at all.
    """
    if not 0 < value <= 1:
        raise ValueError(f"{name} must lie in (0, 1], got {value}")
