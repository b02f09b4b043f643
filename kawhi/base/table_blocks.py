"""The files of ``conf/ablation`` and ``conf/experiment``: blocks of rows (:mod:`kawhi.runs.table_rows`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

GROUPS = ("experiment", "ablation")
"""Configuration groups whose files are tables."""


def products(blocks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The blocks with each of their ``rows`` as a block of its own, which has the block's keys, too."""
    return [
        {key: value for key, value in (dict(block) | row).items() if key != "rows"}
        for block in blocks
        for row in block.get("rows", [{}])
    ]
