"""Installs cpu.txt or gpu.txt into the Python that runs this, with the build of torch that this is for.

.venv/bin/python requirements/install.py cpu|gpu [arguments of pip install]

``make setup`` calls it in an empty environment, so it needs the standard library and pip alone.  torch comes last,
because an index may have its CPU build, its CUDA build or both under one version; without CUDA's libraries the latter
cannot be imported.  pip, which is in the lock itself, by then is one that learns what a wheel needs without
downloading it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

LOCKS = {kind: Path(__file__).with_name(f"{kind}.txt") for kind in ("cpu", "gpu")}
LOG = Path(sys.prefix) / "install.log"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""PyTorch's own index of CPU builds."""
ACCELERATED = ("cuda-", "nvidia-", "pytorch-triton", "triton")
"""How the names begin of what a build for GPUs requires, and a CPU build never."""
STEPS = ("Building", "Collecting", "Downloading", "Installing", "Processing")
QUIETLY = ("--no-input", "--progress-bar=off", "--disable-pip-version-check")
SECONDS = 10
"""Between two lines of progress."""


class InstallError(Exception):
    """Why something could not be installed, in one sentence."""


def main(kind: str, given: list[str]) -> None:
    """Everything but torch and torchvision as it is listed, then those two."""
    lines = LOCKS[kind].read_text(encoding="utf-8").splitlines()
    locked = {line.split("==")[0]: line for line in lines if "==" in line and not line.startswith("#")}
    torch, torchvision = locked.pop("torch"), locked.pop("torchvision")
    pip("--no-deps", *given, *locked.values())
    if kind == "gpu":
        install_cuda_build(torch, torchvision, given)
    else:
        install_torch(torch, torchvision, given)


def install_cuda_build(torch: str, torchvision: str, given: list[str]) -> None:
    """Of the builds that an index has under one version, the one for CUDA, whose libraries are in the lock."""
    torch, torchvision = (f"{each},!={each.split('==')[1]}+cpu" for each in (torch, torchvision))
    if not needs_gpu_libraries(torch, given):
        remedy = 'name one that has its build for CUDA 13, make setup-gpu PIP_ARGS="--index-url URL"'
        raise InstallError(f"the package index has {torch.split(',')[0]} without CUDA: {remedy}")
    pip("--no-deps", *given, torch, torchvision)


def install_torch(torch: str, torchvision: str, given: list[str]) -> None:
    """torch's CPU build from here or from PyTorch's own index; where there is none, the CUDA build with its libraries.

    torchvision's CPU build where torch's is from; its other builds import beside any torch, with our shim.
    """
    pytorch = [*given, "--index-url", CPU_INDEX, "--retries", "1"]
    source = given
    if not succeeds("--no-deps", *given, f"{torch}+cpu"):
        if not needs_gpu_libraries(torch, given):
            pip("--no-deps", *given, torch)
        elif succeeds("--no-deps", *pytorch, f"{torch}+cpu"):
            source = pytorch
        else:
            install_for_cuda(torch, given)
    if not succeeds("--no-deps", *source, f"{torchvision}+cpu"):
        pip("--no-deps", *given, torchvision)


def needs_gpu_libraries(torch: str, given: list[str]) -> bool:
    """Whether what the index gives under torch's plain version is a build for GPUs."""
    report = LOG.with_name("torch.json")
    pip("--no-deps", "--dry-run", "--report", str(report), *given, torch)
    (found,) = json.loads(report.read_text(encoding="utf-8"))["install"]
    return any(need.startswith(ACCELERATED) for need in found["metadata"].get("requires_dist", []))


def install_for_cuda(torch: str, given: list[str]) -> None:
    """The CUDA build, for which pip itself finds the libraries."""
    told = f"the package index has {torch} for CUDA only, and {CPU_INDEX} could not be used"
    print(f"{told}: installing it with its CUDA libraries (4 GB more), which works without a GPU, too", flush=True)
    try:
        pip("--constraint", str(LOCKS["cpu"]), *given, torch)
    except InstallError as error:
        remedy = f'name an index that has {torch}+cpu, make setup PIP_ARGS="--extra-index-url URL"'
        raise InstallError(f"{told}; nor could its CUDA libraries be installed ({error}): {remedy}") from error


def succeeds(*arguments: str) -> bool:
    """Whether pip can install that."""
    try:
        pip(*arguments)
    except InstallError:
        return False
    return True


def pip(*arguments: str) -> None:
    """``pip install`` with a line of progress every ten seconds; what pip says goes to the log.

    Raises:
        InstallError: pip's reason.
    """
    began, start = time.monotonic(), LOG.stat().st_size if LOG.exists() else 0
    command = [sys.executable, "-m", "pip", "install", *QUIETLY, *arguments]
    with LOG.open("a") as log, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
        while process.poll() is None:
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                doing = [line for line in _said(start) if line.startswith(STEPS)][-1:] or ["Starting"]
                told = f"{time.monotonic() - began:3.0f} s, {_installed()} packages installed; {doing[0].split(':')[0]}"
                print(f"  {told[:110]}", flush=True)
    if process.returncode:
        raise InstallError(_reason(_said(start)))


def _installed() -> int:
    return sum(1 for _ in Path(sysconfig.get_path("purelib")).glob("*.dist-info"))


def _said(start: int) -> list[str]:
    """The log's lines from a byte on."""
    with LOG.open("rb") as log:
        log.seek(start)
        return [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]


def _reason(said: list[str]) -> str:
    errors = (
        [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")] or said[-1:] or ["pip failed"]
    )
    if any("(from versions: none)" in error for error in errors):
        return f"{errors[-1]}: no package index could be reached, or none has it"
    return errors[-1]


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except InstallError as problem:
        sys.exit(f"error: {problem} (what pip said is in {LOG})")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command begins again")
