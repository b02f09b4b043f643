"""Copies of the repository, and the examples of docs/adding_a_*.md written into them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.cells import ROOT

FILE = re.compile(r"`([\w/]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^(?:python|kawhi) .*$", re.MULTILINE)


def tracked(*names: str) -> list[str]:
    """The files of these folders that git knows or would know."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *names]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted({name for name in found if (ROOT / name).is_file()})


def copy(folder: Path, *names: str) -> Path:
    """Copies files and folders of the repository."""
    for name in tracked(*names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


class Page:
    """A page that adds something by writing files; what it says of them is executed in a copy of the repository."""

    def __init__(self, what: str):
        self.text = (ROOT / "docs" / f"adding_a_{what}.md").read_text(encoding="utf-8")
        self.files = dict(FILE.findall(self.text))
        self.commands = COMMAND.findall(self.text)

    def written(self, folder: Path, *names: str) -> Path:
        """A copy with the page's files, none of which was there before."""
        copy(folder, "kawhi", "conf", "experiments", "hydra_plugins", *names)
        for path, text in self.files.items():
            assert not (folder / path).exists(), path
            (folder / path).write_text(text, encoding="utf-8")
        return folder


def run(folder: Path, *command: str, limit: float = 600) -> str:
    """What a Python program of the copy prints."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=limit
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
