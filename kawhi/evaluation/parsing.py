"""Strict readings of a judge's reply: exactly one of what was allowed, or ``ValueError``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any


def exactly(*allowed: str) -> Callable[[str], str]:
    """The reply is one of these words, with nothing around it but white space."""

    def parse(reply: str) -> str:
        word = reply.strip()
        if word not in allowed:
            raise ValueError(f"the reply {reply[:80]!r} is not one of {', '.join(allowed)}")
        return word

    return parse


def json_object(fields: Mapping[str, Callable[[Any], Any]]) -> Callable[[str], dict[str, Any]]:
    """The reply is one JSON object with exactly these keys, whose values the given functions accept.

    Args:
        fields: key -> function of the value; raises ``ValueError`` or ``TypeError`` for one that is not allowed.
    """

    def parse(reply: str) -> dict[str, Any]:
        text = reply.strip()
        if text.startswith("```") and text.endswith("```"):  # chat models fence JSON whatever they are told
            text = text.removeprefix("```json").removeprefix("```").removesuffix("```").strip()
        value = json.loads(text, object_pairs_hook=_once)
        if not isinstance(value, dict) or set(value) != set(fields):
            raise ValueError(f"the reply {reply[:80]!r} is not an object with exactly {', '.join(fields)}")
        try:
            return {key: accept(value[key]) for key, accept in fields.items()}
        except TypeError as error:
            raise ValueError(str(error)) from error

    return parse


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("the reply has a key twice")
    return dict(pairs)


def text(value: Any) -> str:
    """A JSON string."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value


def whole_number(low: int, high: int) -> Callable[[Any], int]:
    """A JSON whole number in [low, high]."""

    def accept(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{value!r} is not a whole number from {low} to {high}")
        return value

    return accept
