"""Whether torch, torchvision and vLLM can be imported, which only an attempt shows: python -m kawhi.wheels.importable

Their versions may be right and a library of theirs missing: torch's CUDA build without CUDA's libraries, for instance.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

PACKAGES = ("torch", "torchvision", "vllm")
SECONDS = 300  # takes 4 s; generous, for a busy machine with a cold disk

_ATTEMPT = f"""
import sys
from importlib import import_module
from kawhi.wheels import torchvision_shim, vllm_wheel
torchvision_shim.install()
if vllm_wheel.installed():
    vllm_wheel.install()
for name in {PACKAGES!r}:
    try:
        import_module(name)
    except Exception as error:
        told = " ".join(str(error).split())
        sys.exit(f"{{name}} cannot be imported: {{type(error).__name__}}: {{told}}")
"""


def trouble() -> str:
    """Why they cannot be imported, in one sentence; empty when they can.

    In a process of its own: a library may end it (a processor that lacks an instruction), or never return.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    command = [sys.executable, "-c", _ATTEMPT]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"{', '.join(PACKAGES)} could not be imported within {SECONDS} s"
    if done.returncode < 0:
        return f"importing {', '.join(PACKAGES)} ended with {signal.Signals(-done.returncode).name}"
    last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    return last[0] if done.returncode else ""


if __name__ == "__main__":
    if sentence := trouble():
        sys.exit(f"error: {sentence}")
