"""The drawn worlds by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, get_args

from kawhi.tiny import reading_world, world
from kawhi.tiny.world import Problem, Split

TINY = "tiny"
WORLDS: dict[str, Callable[[Split, int], Iterator[Problem]]] = {
    TINY: world.problems,
    **{
        f"reading_{difficulty}": partial(reading_world.problems, difficulty=difficulty)
        for difficulty in get_args(reading_world.Difficulty)
    },
}
"""Name -> the endless stream of a split's problems with a seed."""


def problems_of(name: str, split: Split, seed: int) -> Iterator[Problem]:
    """A world's endless stream of problems."""
    return WORLDS[name](split, seed)


def named(settings: Mapping[str, Any]) -> str:
    """The world that a block of ``conf/data`` or an entry of ``conf/benchmarks`` names; the tiny one names none.

    Raises:
        ValueError: there is no such world; the message lists those that there are.
    """
    name = settings.get("world", TINY)
    if name not in WORLDS:
        raise ValueError(f"there is no drawn world {name}; choose one of {', '.join(WORLDS)}")
    return name
