"""Whether this machine has the memory and disk that a cell needs, asked before anything is started."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

import psutil
from omegaconf import DictConfig

from kawhi import fork_server
from kawhi.base.errors import CellError

GIB = 2**30


def memory_needed(cell: DictConfig) -> float:
    """GiB that a cell takes: ``scale.needs.memory_gib``, twice as much where its processes share nothing."""
    alone = cell.scale.device == "cpu" and os.environ.get(fork_server.VARIABLE) == "0"
    return float(cell.scale.needs.memory_gib) * (2 if alone else 1)


def available_memory() -> int:
    """Bytes this process and its children may use: what the machine has left, its cgroup's limit, its own limits."""
    return tightest()[0]


def tightest() -> tuple[int, str]:
    """Bytes this process and its children may use, and in words which limit that is; empty for the machine itself."""
    candidates = [(psutil.virtual_memory().available, "")]
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            most = Path(limit).read_text().strip()
            if most != "max":
                candidates.append((int(most) - int(Path(used).read_text()), f"the container's limit, {limit}"))
        except (OSError, ValueError):
            continue  # this version of cgroups is not mounted here
    for kind, option in ((resource.RLIMIT_AS, "-v"), (resource.RLIMIT_DATA, "-d")):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            candidates.append((soft, f"the shell's limit, ulimit {option}"))
    least, limit = min(candidates)
    return max(0, least), limit


def free_disk(folder: Path) -> int:
    """Bytes free where a folder is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def require(*, memory_gib: float, disk_gib: float, folder: Path) -> None:
    """Raises:
    CellError: too little memory or disk.
    """
    (free, limit), disk = tightest(), free_disk(folder) / GIB
    if (memory := free / GIB) < memory_gib:
        raised = f"raise {limit}, " if limit else ""
        raise CellError(
            f"a cell needs about {memory_gib:g} GiB of memory and {memory:.1f} GiB are available: close other "
            f"programs, {raised}or use a larger machine"
        )
    if disk < disk_gib:
        raise CellError(
            f"a cell needs about {disk_gib:g} GiB of disk and {disk:.2f} GiB are free under {folder}: free some space "
            "or set paths.runs"
        )
