"""Which visual tokens the responses are compared with: equation 11, the ablation of table 3, VisionZip of figure 4."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kawhi.regions.sguf import RegionMap

Strategy = Literal["sguf", "all", "random", "inverse"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


def select_tokens(
    region_map: RegionMap, strategy: Strategy, skip_ratio: float = 0.7, seed: int = 0
) -> NDArray[np.int64]:
    """Token indices on the row-major grid, sorted, without repetition.

    ``sguf`` keeps every token of the key regions and samples the background; ``inverse`` swaps the two roles;
    ``random`` draws as many tokens as ``sguf`` would keep, from the whole grid; ``all`` keeps everything.

    Args:
        skip_ratio: share of each background component that is left out; ``floor((1 - skip_ratio) n + 0.5)`` of its n
            tokens stay (the formula of equation 11; the paper's text and appendix B read differently).
        seed: of the sampling.

    Raises:
        ValueError: unknown strategy, or ``skip_ratio`` outside [0, 1].
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown region selection {strategy!r}; choose one of {', '.join(STRATEGIES)}")
    if not 0.0 <= skip_ratio <= 1.0:
        raise ValueError(f"skip_ratio must lie in [0, 1], got {skip_ratio}")
    labels = region_map.labels.ravel()
    if strategy == "all":
        return np.arange(labels.size)
    rng = np.random.default_rng(seed)
    if strategy == "random":
        sizes = np.bincount(labels)
        kept = sum(n if key else _kept(n, skip_ratio) for n, key in zip(sizes, region_map.is_key, strict=True))
        return np.sort(rng.choice(labels.size, size=kept, replace=False))
    whole = region_map.is_key if strategy == "sguf" else ~region_map.is_key
    chosen = [np.flatnonzero(whole[labels])]
    for component in np.flatnonzero(~whole):
        tokens = np.flatnonzero(labels == component)
        chosen.append(rng.choice(tokens, size=_kept(tokens.size, skip_ratio), replace=False))
    return np.sort(np.concatenate(chosen))


def select_attended(received: NDArray[np.floating], keep_ratio: float = 0.5) -> NDArray[np.int64]:
    """The visual tokens that the vision encoder attends to most: VisionZip's dominant tokens (section 4.4).

    Args:
        received: ``(N,)`` attention that each visual token receives, averaged over heads and queries.
        keep_ratio: share of the tokens kept; ``floor(keep_ratio * N + 0.5)`` of them, at least one.

    Returns:
        int64 indices, sorted; of equal tokens the earlier one is kept.

    Raises:
        ValueError: ``keep_ratio`` outside (0, 1], or ``received`` is not one finite number per token.
    """
    received = np.asarray(received, dtype=np.float64)  # the negative of an unsigned integer would sort wrongly
    if not 0.0 < keep_ratio <= 1.0:
        raise ValueError(f"keep_ratio must lie in (0, 1], got {keep_ratio}")
    if received.ndim != 1 or not np.isfinite(received).all():
        raise ValueError("the attention received must be one finite number per visual token")
    kept = min(received.size, max(1, math.floor(keep_ratio * received.size + 0.5)))
    return np.sort(np.argsort(-received, kind="stable")[:kept])


def _kept(tokens: int, skip_ratio: float) -> int:
    # In floating point: (1 - 0.9) * 5 is below one half, so a region of 5 keeps none at 0.9.
    return math.floor((1 - skip_ratio) * tokens + 0.5)
