"""The code that queued jobs run: a copy made when they are submitted, so that later edits do not reach them.

submitit's own ``RsyncSnapshot`` leaves out files that nobody has added yet, and copies at each launch.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kawhi.base.checkout import STATE, code_state
from kawhi.base.errors import CellError

_WITHOUT = ("results/", "docs/", "tests/", "benchmarks/")
_NAME = 12


def take(root: Path, folder: Path, without: Sequence[Path] = ()) -> Path:
    """Copies every file of a checkout that git knows or would know into ``folder/<hash of all of them>``.

    The same code is copied once, however often it is submitted.  New files that nobody has added yet are in it:
    without them a job would run something else than what its submitter sees.

    Args:
        without: folders of data, wherever they are.

    Raises:
        CellError: ``root`` is no git checkout, or there is no git.
    """
    files = _files(root, without)
    digest = hashlib.sha256()
    for name in files:
        content = (root / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    state = json.dumps(code_state(root))
    digest.update(state.encode())
    target = folder / digest.hexdigest()[:_NAME]
    if target.is_dir():
        return target
    temporary = folder / f".{target.name}.{os.getpid()}"
    for name in files:
        (temporary / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, temporary / name)
    (temporary / STATE).write_text(state)
    try:
        os.replace(temporary, target)
    except OSError:
        if not target.is_dir():  # else somebody else was faster, with the same files
            raise
        shutil.rmtree(temporary)
    return target


def _files(root: Path, without: Sequence[Path]) -> list[str]:
    data = [f"{path.relative_to(root)}/" for path in without if path.is_relative_to(root) and path != root]
    names = {name for name in _known(root) if not name.startswith((*_WITHOUT, *data))}
    return sorted(name for name in names if (root / name).is_file())


def _known(root: Path) -> list[str]:
    """What git knows or would know."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CellError("git is not installed here, and it has the list of the files that a job needs") from error
    if listed.returncode:
        raise CellError(f"{root} is no git checkout, so there is no list of the files that a job needs: clone it")
    return listed.stdout.rstrip("\0").split("\0")
