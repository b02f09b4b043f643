"""Which code this is: a checkout's commit, or what was noted of it when a copy was made."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

STATE = ".code.json"
ROOT = Path(__file__).parents[2]


def code_state(root: Path = ROOT) -> dict[str, Any]:
    """``commit`` and ``dirty`` of a checkout or of a copy of one; both ``None`` where git does not know it."""
    if (root / STATE).is_file():
        return json.loads((root / STATE).read_text())

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    changed = git("status", "--porcelain", "--untracked-files=no")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if changed is None else bool(changed)}
