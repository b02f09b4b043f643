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
COMMAND = re.compile(r"^(?:python|kawhi(?:-run)?) .*$", re.MULTILINE)


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


IN_THE_PACKAGE = {
    "mine/methods": "kawhi/credit/methods",
    "mine/benchmarks": "kawhi/evaluation/benchmarks",
    "mine/conf": "conf",
}
"""Where what ships with the package lies, by where somebody's own lies."""


class Page:
    """A page that adds something by writing files."""

    def __init__(self, what: str):
        self.text = (ROOT / "docs" / f"adding_a_{what}.md").read_text(encoding="utf-8")
        self.files = dict(FILE.findall(self.text))
        self.commands = COMMAND.findall(self.text)

    def own(self, folder: Path) -> Path:
        """A folder that is no checkout, with the page's files of somebody's own."""
        for path, text in self.files.items():
            if path.startswith("mine/"):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text, encoding="utf-8")
        return folder

    def shipped(self, folder: Path, *names: str) -> Path:
        """A copy of the repository with the page's files, none of which was there before."""
        copy(folder, "kawhi", "conf", "experiments", "hydra_plugins", *names)
        for path, text in self.files.items():
            place = Path(path)
            for own, ours in IN_THE_PACKAGE.items():
                if place.is_relative_to(own):
                    place = ours / place.relative_to(own)
            assert not (folder / place).exists(), place
            (folder / place).write_text(text, encoding="utf-8")
        return folder


def run(folder: Path, *command: str, code: Path | None = None, limit: float = 600, fails: bool = False) -> str:
    """What a Python program prints; of one that ``fails``, what it says on stderr.

    Args:
        folder: that it is run in.
        code: the checkout, or the copy of one, whose code it has; by default ``folder``.
    """
    environment = {**os.environ, "PYTHONPATH": str(code or folder)}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=limit
    )
    assert (done.returncode != 0) == fails, done.stderr[-2000:]
    return done.stderr if fails else done.stdout
