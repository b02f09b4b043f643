"""Is this machine ready?  Every finding comes with one thing to do."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kawhi.base.checkout import configuration_folder
from kawhi.base.pins import MISSING, compared, environment, version
from kawhi.doctor import attempts
from kawhi.doctor.needs import GIB, Needs
from kawhi.wheels import importable

NEEDS_DISK = 1  # GiB: measured for one cell of the tiny world, with room
PYTHONS = ((3, 11), (3, 12))


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


def examine(folder: Path, needs: Needs) -> Iterator[Finding]:
    """All checks for a machine that runs cells of a scale; ``folder`` is where runs are written."""
    yield Finding("scale", True, needs.scale)
    yield _python()
    if not needs.gpus:
        yield _environment(needs)
        yield _processor()
    yield _memory(needs)
    yield _disk(folder, needs)
    yield _shared_memory(needs)
    yield _ports()
    yield from _versions(needs)
    if needs.gpus:
        yield from _attempted(needs)
    else:
        yield Finding("compiler", True, f"not needed: nothing is compiled at scale={needs.scale}")
        yield from _attempted(needs, "sockets")
        yield _imports()


def _python() -> Finding:
    seen = platform.python_version()
    ok = sys.version_info[:2] in PYTHONS
    return Finding("Python", ok, seen, "install Python 3.11 or 3.12 and run `make clean setup PYTHON=python3.12`")


def _environment(needs: Needs) -> Finding:
    kind = environment()
    remedy = f"run `make setup-cpu VENV=.venv-cpu`: scale={needs.scale} wants vLLM's build for the CPU"
    return Finding("environment", kind == "cpu", f"of requirements/{kind}.txt", remedy)


def _processor() -> Finding:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return Finding("processor", False, platform.machine(), "use Linux: vLLM's CPU build needs it")
    best = next((f for f in ("avx512f", "avx2") if f in flags), None)
    remedy = "use an x86-64 processor with AVX2 (2013 or later): vLLM's CPU kernels need it"
    return Finding("processor", best is not None, best or platform.machine(), remedy)


def _memory(needs: Needs) -> Finding:
    from kawhi.base.resources import available_memory

    free, least = available_memory() / GIB, needs.host_memory_gib
    remedy = f"free {least:g} GiB: close other programs or use a larger machine"
    return Finding("memory", free >= least, f"{free:.1f} GiB available", remedy)


def _disk(folder: Path, needs: Needs) -> Finding:
    from kawhi.base.resources import free_disk

    free, least = free_disk(folder.resolve()) / GIB, max(NEEDS_DISK, needs.disk_gib)
    return Finding("disk", free >= least, f"{free:.1f} GiB free", f"free {least:g} GiB, or set paths.runs")


def _shared_memory(needs: Needs) -> Finding:
    try:
        usage = shutil.disk_usage("/dev/shm")
    except OSError:
        return Finding("shared memory", False, "no /dev/shm", "mount a tmpfs on /dev/shm: weights travel through it")
    free, least = usage.free / GIB, needs.shm_gib
    remedy = f"remove what is left in /dev/shm, which should have {least:g} GiB free: weights travel through it"
    if usage.total / GIB < least:
        size = f"{max(1, least):g}g"
        remedy = f"enlarge /dev/shm (docker: --shm-size={size}): weights and Ray objects travel through it"
    return Finding("shared memory", free >= least, f"{free:.1f} GiB in /dev/shm", remedy)


def _ports() -> Finding:
    try:
        with socket.socket() as server, socket.socket() as client:
            server.bind(("127.0.0.1", 0))
            server.listen()
            client.connect(server.getsockname())
    except OSError as error:
        return Finding("loopback ports", False, str(error), "allow connections on 127.0.0.1: Ray and vLLM need them")
    return Finding("loopback ports", True, "a free port answers")


def _versions(needs: Needs) -> Iterator[Finding]:
    again = f"run `make clean setup-{needs.kind}`"
    for package, wanted, seen, ok in compared():
        yield Finding(package, ok, seen, f"{again}: it installs {package} {wanted}")
    torch, other = version("torch"), version("torchvision")
    if MISSING not in (torch, other):
        # torch 2.N goes with torchvision 0.(N + 15); our shim would hide it if they did not match.
        ok = int(torch.split(".")[1]) + 15 == int(other.split(".")[1])
        yield Finding("torch and torchvision", ok, f"{torch}, {other}", f"{again}: these two must match")


def _attempted(needs: Needs, *checks: str) -> Iterator[Finding]:
    """What a cell would do first, which only an attempt shows."""
    for found in attempts.run(attempts.source(), needs.attempts(*checks)):
        yield Finding(**found)


def _imports() -> Finding:
    told = importable.trouble()
    remedy = "run `make clean setup-cpu`: it ends only when they can be imported"
    return Finding("imports", not told, told or ", ".join(importable.PACKAGES), remedy)


def report(folder: Path = Path("."), scale: str | None = None) -> int:
    """Prints the findings; returns 0 when all is well, else 1.

    Args:
        scale: by default the one that the environment is for.

    Raises:
        CellError: there is no such scale.
    """
    default = "cpu" if environment() == "cpu" else os.environ.get("KAWHI_SCALE", "h200x8")
    needs = Needs.of(configuration_folder(), scale or default)
    if needs.gpus:
        print(f"... trying torch and vLLM, too (at most {attempts.SECONDS} s)", file=sys.stderr, flush=True)
    return print_findings(examine(folder, needs))


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
