"""Which attention a model is run with: the best of what is installed, among those that are exact for packed batches.

A packed batch is one row of many sequences.  transformers finds their borders in the text positions: sdpa and eager get
a block-diagonal mask of them, flash attention the sequences' lengths (``tests/models/test_packed.py``).  What of a
GPU's kernels really runs, and whether it is exact there, says :mod:`kawhi.models.attention_trial`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

from packaging.version import Version

from kawhi.base.devices import ask_driver
from kawhi.base.errors import CellError

AUTO = "auto"
FLASH_2 = "flash_attention_2"

_PACKAGES = {
    FLASH_2: ("flash-attn", "flash_attn", "2.3.3"),
    "flash_attention_3": ("flash-attn-3", "flash_attn_interface", "3.0.0b1"),
    "flash_attention_4": ("flash-attn-4", "flash_attn", "4.0.0b1"),
}
"""Package, module and least version of each; where one is missing, transformers would load a kernel from the hub."""
_OWNER = "kernels-community/"
_HUB = (f"{_OWNER}flash-attn3", f"{_OWNER}flash-attn2")
"""Kernels of the hub, which the package ``kernels`` loads, of those that ``auto`` takes."""
_OF_TORCH = ("sdpa", "eager")
_PREFERRED = (FLASH_2, "flash_attention_3", *_HUB, "sdpa")
"""Version 4 is a beta: whoever wants it names it."""
_HOPPER = ("flash_attention_3", "flash_attention_4", _HUB[0])


def chosen(asked: str, device: str, dtype: str = "bfloat16") -> str:
    """The name by which transformers knows the attention, for ``scale.attention`` on a ``scale.device`` and a dtype.

    Raises:
        CellError: one that is not installed, that this machine's GPU has no kernel for, or that nobody knows.
    """
    if asked == AUTO:
        return available(device, dtype)[0]
    known = (*_PACKAGES, *_OF_TORCH)
    if asked not in known and not asked.startswith(_OWNER):
        raise CellError(f"scale.attention={asked} is not one of {', '.join((AUTO, *known))}, nor a {_OWNER}NAME")
    if reason := missing(asked, device, dtype):
        raise CellError(
            f"scale.attention={asked} {reason}; here there is {', '.join(available(device, dtype))}: "
            "scale.attention=auto takes the first of them"
        )
    return asked


def available(device: str, dtype: str = "bfloat16") -> list[str]:
    """What ``auto`` has to choose from, the best first; never empty."""
    return [name for name in _PREFERRED if not missing(name, device, dtype)]


def missing(name: str, device: str, dtype: str = "bfloat16") -> str | None:
    """What keeps an attention from being used here, as the end of a sentence; ``None`` where nothing does.

    Nothing is imported.  A machine without a GPU, as a login node is, speaks for nodes with the same packages.
    """
    return next(_obstacles(name, device, dtype), None)


def _obstacles(name: str, device: str, dtype: str) -> Iterator[str]:
    if name in _OF_TORCH:
        return
    if device != "cuda":
        yield "needs a GPU"
    if dtype == "float32":
        yield "computes in half precision alone, not in float32"
    if name in _PACKAGES:
        package, module, least = _PACKAGES[name]
        if not _installed(package, module, least):
            yield f"needs the package {package} {least} or newer, which is not installed"
    elif util.find_spec("kernels") is None:
        yield "needs the package kernels, which is not installed"
    elif not _in_cache(name):
        yield f"is not in Hugging Face's cache (`kernels.get_kernel('{name}')` puts it there)"
    if name in _HOPPER and (too_old := [each for each in _capabilities() if each < 9]):
        yield f"has kernels for Hopper and newer GPUs, not for compute capability {min(too_old):g}"


def _installed(package: str, module: str, least: str) -> bool:
    try:
        version = Version(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False
    return version >= Version(least) and util.find_spec(module) is not None


def _in_cache(repository: str) -> bool:
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(os.environ.get("KERNELS_CACHE") or HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    return any((folder / "snapshots").glob("*/build"))


def _capabilities() -> list[float]:
    return [float(line) for line in ask_driver("compute_cap").splitlines() if line.strip()]
