"""Reasoning and perception tokens as ToR tells them: the top shares of a batch by two measures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kawhi.credit.methods.tor import top_count

Values = NDArray[np.float64]

SHARE = 0.3
"""Of tokens that are of a kind: ToR's."""
KINDS = ("reasoning", "both", "perception", "neither")


def membership(values: NDArray[Any], share: float = SHARE) -> Values:
    """How far each of ``(S,)`` values is among the top share: 1, 0, or for those equal to the last one a part."""
    count = top_count(len(values), share)
    last = np.partition(values, len(values) - count)[len(values) - count]
    tied, above = values == last, values > last
    return np.where(tied, (count - above.sum()) / tied.sum(), above)


def kinds(uncertainty: NDArray[Any], perception: NDArray[Any]) -> dict[str, Values]:
    """How far each token is of each of :data:`KINDS`; of one token these are 1 together.

    Args:
        uncertainty: ``(S,)`` nucleus entropies.
        perception: ``(S,)`` sizes of the difference in log-probability that the image makes.
    """
    reasoning, seeing = membership(uncertainty), membership(perception)
    parts = reasoning * (1 - seeing), reasoning * seeing, (1 - reasoning) * seeing, (1 - reasoning) * (1 - seeing)
    return dict(zip(KINDS, parts, strict=True))
