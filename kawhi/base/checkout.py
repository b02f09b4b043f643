"""The checkout: its commit, or what was noted of it when a copy was made; its ``conf``; paths inside packages."""

from __future__ import annotations

import json
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

STATE = ".code.json"
ROOT = Path(__file__).parents[2]
INSTALLED = not (ROOT / "conf" / "run.yaml").is_file()
"""Whether this is no checkout: a wheel holds ``conf`` within the package, since its neighbours are others' packages."""
CONF = ROOT / "kawhi" / "conf" if INSTALLED else ROOT / "conf"
"""The configuration that belongs to this code."""
RESULTS = Path("results") if INSTALLED else ROOT / "results"
"""Records, and what is made of them: the checkout's, or those of the folder a command is typed in."""
PUBLISHED = RESULTS / "published" / "records"
"""Records that were committed on purpose; nothing that is run writes into this folder."""


def code_state(root: Path = ROOT) -> dict[str, Any]:
    """``commit`` and ``dirty`` of a checkout or of a copy of one; both ``None`` where git does not know it."""
    if (root / STATE).is_file():
        return json.loads((root / STATE).read_text())

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    changed = git("status", "--porcelain", "--untracked-files=no")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if changed is None else bool(changed)}


def record_folders(own: Path) -> list[Path]:
    """The folders that are read together: the user's own one, and the published one where there is one."""
    return [own] if own.resolve() == PUBLISHED.resolve() or not PUBLISHED.is_dir() else [own, PUBLISHED]


def configuration_folder() -> Path:
    """``conf`` of the folder the command is typed in, or else the one that belongs to this code."""
    here = Path("conf")
    return here if (here / "run.yaml").is_file() else CONF


def resolve_package_paths(value: Any) -> Any:
    """Replaces ``pkg://package/rest`` by a path on this machine, in nested containers too."""
    if isinstance(value, dict):
        return {key: resolve_package_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve_package_paths(item) for item in value]
    if isinstance(value, str) and value.startswith("pkg://"):
        package, _, rest = value.removeprefix("pkg://").partition("/")
        return str(Path(str(files(package))) / rest)
    return value
