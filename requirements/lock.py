"""Makes gpu.txt of what cpu.txt and gpu.in name, or says whether that still gives it; installs nothing.

python requirements/lock.py [--check]

uv reads what packages say of themselves and downloads none of them, so it takes seconds.  One lock is for both Pythons.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LOCK = HERE / "gpu.txt"
PYTHONS = ("3.11", "3.12")
PLATFORM = "x86_64-manylinux_2_31"
"""Linux with the C library of 2020 or later, for which llguidance is built."""
FROM_SOURCE = ("antlr4-python3-runtime", "matplotlib-venn", "zss")
"""No wheels of these are published; they are Python alone."""
HEADER = """\
# Everything one environment for NVIDIA GPUs needs: verl 0.9.1 + vLLM 0.27.1 + lmms-eval 0.7.3 + torch 2.13.0, all for
# CUDA 13 (a driver of 580 or newer), with Python 3.11 or 3.12.  Installed with --no-deps, for the reasons that
# gpu.overrides gives.  Made of cpu.txt, gpu.in and gpu.overrides by `make lock`.
"""


class LockError(Exception):
    """Why there is no such lock, in one sentence."""


def main(arguments: list[str]) -> None:
    """Writes the lock, or compares it; then looks for a file of every package that a lock names."""
    made = HEADER + locked()
    if arguments != ["--check"]:
        LOCK.write_text(made, encoding="utf-8")
    elif made != LOCK.read_text(encoding="utf-8"):
        raise LockError("requirements/gpu.txt is not what its inputs give: type make lock and commit what changes")
    for lock in (HERE / "cpu.txt", LOCK):
        for python in PYTHONS:
            look_for_files(lock, python)
            print(f"{lock.name}: can be installed with Python {python}", flush=True)


def locked() -> str:
    """The pins, the same for every Python; where packages still allow them, those that the lock has already."""
    inputs = [str(HERE / "cpu.txt"), str(HERE / "gpu.in"), "--overrides", str(HERE / "gpu.overrides")]
    found = []
    for python in PYTHONS:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "gpu.txt"
            if LOCK.exists():
                output.write_text(LOCK.read_text(encoding="utf-8"), encoding="utf-8")
            uv("compile", *inputs, "--no-annotate", "--no-header", "--output-file", str(output), python=python)
            found.append(output.read_text(encoding="utf-8"))
    if len(set(found)) > 1:
        raise LockError(f"no one set of versions is for Python {' and '.join(PYTHONS)}: pin in gpu.in what differs")
    return found[0]


def look_for_files(lock: Path, python: str) -> None:
    """uv, asked what it would install."""
    with tempfile.TemporaryDirectory() as folder:
        built = [word for package in FROM_SOURCE for word in ("--no-binary", package)]
        files = ["--only-binary", ":all:", *built, "--target", folder]
        uv("install", "--dry-run", "--no-deps", *files, "--requirements", str(lock), python=python)


def uv(verb: str, *arguments: str, python: str) -> None:
    """``uv pip``, as on a machine with that Python.

    Raises:
        LockError: what uv said.
    """
    where = ["--quiet", "--python-version", python, "--python-platform", PLATFORM]
    done = subprocess.run([sys.executable, "-m", "uv", "pip", verb, *where, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise LockError(f"uv finds no environment with Python {python}: {' '.join(done.stderr.split())}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LockError as problem:
        sys.exit(f"error: {problem}")
