"""Seeds that depend on what they are for, and on nothing else."""

from __future__ import annotations

import hashlib


def stable_seed(*parts: int) -> int:
    """A 31-bit seed that depends on nothing but its arguments."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:4], "little") & 0x7FFFFFFF
