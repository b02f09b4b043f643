"""The checkout: its commit, or what was noted of it when a copy was made; its ``conf``; paths inside packages."""

from __future__ import annotations

import json
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

from kawhi.base.errors import CellError

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


def configuration_folder() -> Path:
    """``conf`` of the folder the command is typed in, or of the checkout that the package is installed from.

    Raises:
        CellError: neither is there.
    """
    for folder in (Path("conf"), ROOT / "conf"):
        if (folder / "run.yaml").is_file():
            return folder
    raise CellError("there is no conf/run.yaml here: type the command in a checkout of the repository")


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
