"""A machine with GPUs, made up: packages and a driver that answer as the real ones do where all is well."""

from __future__ import annotations

import os
from pathlib import Path

TORCH = """
from types import SimpleNamespace
from . import distributed
bfloat16 = "bfloat16"
version = SimpleNamespace(cuda="13.0")
class Tensor:
    def __matmul__(self, other): return self
    def __getitem__(self, at): return 256
    def transpose(self, a, b): return self
    def all(self): return True
def ones(*shape, device, dtype=None): return Tensor()
randn = ones
def isfinite(tensor): return tensor
nccl = SimpleNamespace(version=lambda: (2, 29, 7))
cuda = SimpleNamespace(device_count=lambda: 2, init=lambda: None, synchronize=lambda: None, nccl=nccl)
nn = SimpleNamespace(functional=SimpleNamespace(scaled_dot_product_attention=lambda q, k, v: q))
"""
DISTRIBUTED = """
def is_nccl_available(): return True
def HashStore(): return None
def init_process_group(backend, store, rank, world_size): assert backend == "nccl"
def all_reduce(tensor): return None
def destroy_process_group(): return None
"""
PLATFORMS = """
from types import SimpleNamespace
current_platform = SimpleNamespace(device_type="cuda")
"""
FILES = {
    "torch/__init__.py": TORCH,
    "torch/distributed.py": DISTRIBUTED,
    "torch-2.13.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n",
    "vllm/__init__.py": "",
    "vllm/platforms.py": PLATFORMS,
    "vllm-0.27.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: vllm\nVersion: 0.27.1\n",
    "flash_attn_interface.py": "def flash_attn_func(q, k, v): return q\n",
}


def make(folder: Path, version: str = "580.65.06") -> dict[str, str]:
    """Writes it; returns the variables with which a process finds it."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    driver = folder / "nvidia-smi"
    driver.write_text(f"#!/bin/sh\necho {version}\necho {version}\n")
    driver.chmod(0o755)
    return {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])),
    }
