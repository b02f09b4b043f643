"""Which generator drew a data set: part of its file name and of a cell's identity."""

from __future__ import annotations

import hashlib
from pathlib import Path


def generator_fingerprint() -> str:
    """8 hexadecimal digits of the source that decides what the tiny world's images and questions are."""
    digest = hashlib.sha256()
    for name in ("drawing.py", "world.py"):
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()[:8]
