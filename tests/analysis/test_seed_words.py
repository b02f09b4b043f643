"""Seeds below a table: what is shared is said once."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.seed_words import seeds_told


def cells(*rollouts: int, **more: int) -> list[dict[str, Any]]:
    return [{"data": 1, "rollout": rollout, "regions": 0, **more} for rollout in rollouts]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ({}, ""),
        ({"a": cells(0), "b": cells(0)}, "data 1, rollout 0, regions 0"),
        ({"": cells(2, 0, 0, 1)}, "data 1, regions 0; rollout 0, 1, 2"),
        ({"a": cells(0, 1), "b": cells(0)}, "data 1, regions 0; rollout 0, 1 (a); 0 (b)"),
        (
            {"a": cells(0, 1), "b": cells(0), "c": cells(0), "d": cells(0)},
            "data 1, regions 0; rollout 0, 1 (a); 0 (all others)",
        ),
        ({"": [*cells(0), *cells(1, data=2)]}, "regions 0; data/rollout 1/0, 2/1"),
        ({"": [*cells(0), *cells(0, sampling=3)]}, "data 1, rollout 0, regions 0; sampling –, 3"),
        ({"": [{"data": 1}]}, "data 1"),
    ],
)
def test_in_words(rows: dict[str, list[dict[str, int]]], told: str) -> None:
    assert seeds_told(rows) == told
