"""Is this machine ready?  Every finding comes with one thing to do."""

from __future__ import annotations

import platform
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kawhi.base.pins import MISSING, compared, version
from kawhi.wheels import importable

GIB = 2**30
NEEDS_MEMORY, NEEDS_DISK, NEEDS_SHM = 4, 1, 0.25  # GiB: measured for one cell of the tiny world, with room


@dataclass(frozen=True)
class Finding:
    """One check; ``remedy`` is what to do, and nothing when all is well."""

    name: str
    ok: bool
    seen: str
    remedy: str = ""

    def __post_init__(self):
        if self.ok:
            object.__setattr__(self, "remedy", "")


def examine(folder: Path) -> Iterator[Finding]:
    """All checks for a machine that runs the CPU world; ``folder`` is where runs are written."""
    yield _python()
    yield _processor()
    yield _memory()
    yield _disk(folder)
    yield _shared_memory()
    yield _ports()
    yield from _versions()
    yield _imports()


def _python() -> Finding:
    seen = platform.python_version()
    ok = sys.version_info[:2] == (3, 11)
    return Finding("Python", ok, seen, "install Python 3.11 and run `make clean setup PYTHON=python3.11`")


def _processor() -> Finding:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return Finding("processor", False, platform.machine(), "use Linux: vLLM's CPU build needs it")
    best = next((f for f in ("avx512f", "avx2") if f in flags), None)
    remedy = "use an x86-64 processor with AVX2 (2013 or later): vLLM's CPU kernels need it"
    return Finding("processor", best is not None, best or platform.machine(), remedy)


def _memory() -> Finding:
    from kawhi.base.resources import available_memory

    free = available_memory() / GIB
    remedy = f"free {NEEDS_MEMORY} GiB: close other programs or use a larger machine"
    return Finding("memory", free >= NEEDS_MEMORY, f"{free:.1f} GiB available", remedy)


def _disk(folder: Path) -> Finding:
    from kawhi.base.resources import free_disk

    free = free_disk(folder.resolve()) / GIB
    return Finding("disk", free >= NEEDS_DISK, f"{free:.1f} GiB free", f"free {NEEDS_DISK} GiB, or set paths.runs")


def _shared_memory() -> Finding:
    try:
        free = shutil.disk_usage("/dev/shm").free / GIB
    except OSError:
        return Finding("shared memory", False, "no /dev/shm", "mount a tmpfs on /dev/shm: weights travel through it")
    remedy = "enlarge /dev/shm (docker: --shm-size=1g): weights and Ray objects travel through it"
    return Finding("shared memory", free >= NEEDS_SHM, f"{free:.1f} GiB in /dev/shm", remedy)


def _ports() -> Finding:
    try:
        with socket.socket() as server, socket.socket() as client:
            server.bind(("127.0.0.1", 0))
            server.listen()
            client.connect(server.getsockname())
    except OSError as error:
        return Finding("loopback ports", False, str(error), "allow connections on 127.0.0.1: Ray and vLLM need them")
    return Finding("loopback ports", True, "a free port answers")


def _versions() -> Iterator[Finding]:
    for package, wanted, seen, ok in compared():
        yield Finding(package, ok, seen, f"run `make clean setup`: it installs {package} {wanted}")
    torch, other = version("torch"), version("torchvision")
    if MISSING not in (torch, other):
        # torch 2.N goes with torchvision 0.(N + 15); our shim would hide it if they did not match.
        ok = int(torch.split(".")[1]) + 15 == int(other.split(".")[1])
        yield Finding("torch and torchvision", ok, f"{torch}, {other}", "run `make clean setup`: these two must match")


def _imports() -> Finding:
    told = importable.trouble()
    remedy = "run `make clean setup`: it ends only when they can be imported"
    return Finding("imports", not told, told or ", ".join(importable.PACKAGES), remedy)


def report(folder: Path = Path(".")) -> int:
    """Prints the findings; returns 0 when all is well, else 1."""
    return print_findings(examine(folder))


def print_findings(findings: Iterable[Finding]) -> int:
    """One line for each as it comes, then what to do; returns 0 when all is well, else 1."""
    seen = []
    for finding in findings:
        seen.append(finding)
        print(f"{'ok ' if finding.ok else 'NO '} {finding.name}: {finding.seen}", flush=True)
    problems = [finding for finding in seen if not finding.ok]
    for finding in problems:
        print(f"{finding.name}: {finding.remedy}", file=sys.stderr)
    print(f"{len(seen) - len(problems)} of {len(seen)} checks passed" if problems else "ready")
    return 1 if problems else 0
