"""Seeded choices that depend on ids alone, not on the order in which a source has its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping


def first_by_hash(ids: Iterable[str], count: int, seed: int) -> set[str]:
    """The ``count`` ids with the smallest hashes: one id more or less in the source changes at most one choice."""
    ranked = sorted(set(ids), key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    return set(ranked[:count])


def stratified(
    strata: Mapping[str, Iterable[str]], count: int, seed: int, more: Mapping[str, int] | None = None
) -> set[str]:
    """``count`` ids with the strata's own proportions, rounded by largest remainder (ties: the stratum's name).

    Args:
        more: ids to take of a stratum beyond its share, the next ones in the same order.
    """
    sizes = {name: len(set(ids)) for name, ids in strata.items()}
    total = sum(sizes.values())
    if not total:
        return set()
    count = min(count, total)
    shares = {name: count * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(count * sizes[name] % total), name))
    for name in by_remainder[: count - sum(shares.values())]:
        shares[name] += 1
    wanted = {name: share + (more or {}).get(name, 0) for name, share in shares.items()}
    return set().union(*(first_by_hash(ids, wanted[name], seed) for name, ids in strata.items()))
