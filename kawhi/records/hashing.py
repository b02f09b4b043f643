"""The hash that names a cell; in a module of its own, because views need it and nothing heavy."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def config_hash(config: dict[str, Any]) -> str:
    """12 hexadecimal digits: the hash of a cell whose identity is ``config``."""
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
