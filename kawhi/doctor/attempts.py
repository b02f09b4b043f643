"""Does what a cell of a scale will do first: sockets, compiler, torch on each GPU, NCCL, attention, vLLM.

In a process of its own, which a library may end or never leave.  Like ``probe.py`` its source travels to nodes, so it
imports the standard library alone before it tries the others.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

MARK = "KAWHI-ATTEMPT "
SECONDS = 300  # takes 10 to 60 s; generous, for a network's file system that has not read the packages yet
DRIVER = 580  # NVIDIA's, for CUDA 13
SOCKET = 107  # bytes: the longest name that Linux takes
_RAY = "/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
_FLASH = {
    "flash_attention_2": "flash_attn",
    "flash_attention_3": "flash_attn_interface",
    "flash_attention_4": "flash_attn.cute",
}
"""What transformers calls an implementation, and the module with its ``flash_attn_func``."""
_AGAIN = "run `make clean setup-{}`: it ends only when that can be imported"


class Fault(Exception):
    """What was seen instead, and what to do."""

    def __init__(self, seen: str, remedy: str):
        super().__init__(seen)
        self.remedy = remedy


def source() -> str:
    """Of this file."""
    with open(__file__, encoding="utf-8") as file:
        return file.read()


def run(source: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """``name``, ``ok``, ``seen`` and ``remedy`` of each attempt, the last one being the first that ends the process.

    Args:
        source: as :func:`source` gives it where this file is.
        asked: ``device`` (cpu or cuda), ``gpus``, ``attention``, and ``checks``, names of :data:`CHECKS`.
    """
    command = [sys.executable, "-c", source, json.dumps(asked)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        try:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=SECONDS).returncode
            ended = f"ended the process with signal {-code}" if code < 0 else f"ended the process with code {code}"
        except subprocess.TimeoutExpired:
            ended = f"did not end within {SECONDS} s"
        out.seek(0)
        said = [json.loads(line.removeprefix(MARK)) for line in out if line.startswith(MARK)]
    found = {each["name"]: each for each in said if "ok" in each}
    for name in [each["name"] for each in said if each["name"] not in found]:
        found[name] = {"name": name, "ok": False, "seen": ended, "remedy": CHECKS[name][1].format(_kind(asked))}
    return list(found.values())


def driver(asked: dict[str, Any]) -> str:
    """NVIDIA's, new enough for the CUDA of the lock."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    where = f"type this where the GPUs are; on a login node, kawhi doctor --cluster scale={asked['scale']}"
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise Fault("no nvidia-smi here", where) from None
    version = done.stdout.strip().partition("\n")[0]
    if done.returncode or not version[:1].isdigit():
        raise Fault(
            f"nvidia-smi failed: {' '.join((done.stderr or done.stdout).split())}", "see that `nvidia-smi` works"
        )
    if int(version.partition(".")[0]) < DRIVER:
        raise Fault(version, f"have the NVIDIA driver updated to {DRIVER} or newer: CUDA 13 needs it")
    return version


def compiler(asked: dict[str, Any]) -> str:
    """Triton builds with the one for C, torch.compile with the one for C++, both against Python's own headers."""
    c = os.environ.get("CC") or next(filter(None, map(shutil.which, ("gcc", "clang"))), "gcc")
    for language, program in (("c", c), ("c++", os.environ.get("CXX", "g++"))):
        command = [program, "-x", language, "-fsyntax-only", f"-I{sysconfig.get_path('include')}", "-"]
        try:
            done = subprocess.run(command, input="#include <Python.h>\n", capture_output=True, text=True, timeout=60)
        except OSError as error:
            raise Fault(f"no {os.path.basename(program)}: {error.strerror}", CHECKS["compiler"][1]) from None
        if "Python.h" in done.stderr:
            version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
            raise Fault("Python.h is missing", f"install {version}-dev, or take a Python that has its headers")
        if done.returncode:
            raise Fault(f"{program}: {done.stderr.strip().splitlines()[-1]}", CHECKS["compiler"][1])
    return "builds for this Python"


def sockets(asked: dict[str, Any]) -> str:
    """Ray's are in ``TMPDIR``, those of the weight sync in /tmp."""
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    size = len(os.fsencode(folder + _RAY))
    if size > SOCKET:
        remedy = f"set TMPDIR to a folder of at most {SOCKET - len(_RAY)} bytes, for instance /tmp"
        raise Fault(f"Ray's sockets would have names of {size} bytes in {folder}, and Linux takes {SOCKET}", remedy)
    for place in sorted({folder, "/tmp"}):
        try:
            with tempfile.TemporaryDirectory(dir=place) as own, socket.socket(socket.AF_UNIX) as one:
                one.bind(f"{own}/s")
        except OSError as error:
            remedy = "set TMPDIR to a folder that you may write, on a disk of this machine, for instance /tmp"
            raise Fault(f"no socket can be made in {place}: {error.strerror}", remedy) from None
    return f"in {folder}"


def multiply(asked: dict[str, Any]) -> str:
    """Imports it, and multiplies on each device."""
    import torch

    version = metadata.version("torch")
    devices = ["cpu"] if asked["device"] == "cpu" else [f"cuda:{i}" for i in range(asked["gpus"])]
    if asked["device"] == "cuda":
        _sees_gpus(torch, version, asked)
    for device in devices:
        ones = torch.ones(256, 256, device=device, dtype=torch.bfloat16)
        if float((ones @ ones)[-1, -1]) != 256:
            raise Fault(f"{version} multiplies wrongly on {device}", "do not use that device")
    return f"{version} multiplied on {', '.join(devices) or 'nothing: there is no driver'}"


def _sees_gpus(torch: Any, version: str, asked: dict[str, Any]) -> None:
    if torch.version.cuda is None:
        raise Fault(f"{version} is a build for the CPU", "run `make clean setup-gpu`: it installs CUDA's")
    if asked["gpus"] and torch.cuda.device_count() < asked["gpus"]:
        try:
            torch.cuda.init()
            told = ""
        except RuntimeError as error:
            told = f" ({' '.join(str(error).split())})"
        count = f"{torch.cuda.device_count()} of the {asked['gpus']} GPUs"
        seen = f"{version} sees {count} of scale={asked['scale']}"
        raise Fault(f"{seen}{told}", "see CUDA_VISIBLE_DEVICES and `nvidia-smi`, or name a scale of fewer GPUs")


def nccl(asked: dict[str, Any]) -> str:
    """Sums over a group of one."""
    import torch
    from torch import distributed

    if not distributed.is_nccl_available():
        raise Fault("this build of torch has none", CHECKS["NCCL"][1].format("gpu"))
    version = ".".join(map(str, torch.cuda.nccl.version()))
    if not asked["gpus"]:
        return f"{version} is there"
    distributed.init_process_group("nccl", store=distributed.HashStore(), rank=0, world_size=1)
    distributed.all_reduce(torch.ones(1, device="cuda:0"))
    torch.cuda.synchronize()
    distributed.destroy_process_group()
    return f"{version} summed"


def attention(asked: dict[str, Any]) -> str:
    """The implementation that the scale names, on one GPU where there is one."""
    import torch

    name = asked["attention"]
    device = "cpu" if asked["device"] == "cpu" or not asked["gpus"] else "cuda:0"
    one = torch.randn(1, 16, 4, 64, device=device, dtype=torch.bfloat16)
    if name == "sdpa":
        heads = one.transpose(1, 2)
        found = torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)
    elif name in _FLASH or "/" in name:
        function = _flash(name)
        if device == "cpu":
            return f"{name} can be imported"
        found = function(one, one, one)
    else:
        raise Fault(f"{name} is none that is known", f"name sdpa, {', '.join(_FLASH)} or a kernel of the hub")
    if not bool(torch.isfinite(found[0] if isinstance(found, tuple) else found).all()):
        raise Fault(f"{name} gives what is no number on {device}", "name another attention in the scale")
    return f"{name} ran on {device}"


def _flash(name: str) -> Callable[..., Any]:
    """flash-attn 2 and 4 share the folder ``flash_attn``, so that one is there does not say which."""
    try:
        if "/" in name:
            return importlib.import_module("kernels").get_kernel(name).flash_attn_func
        return importlib.import_module(_FLASH[name]).flash_attn_func
    except (ImportError, AttributeError) as error:
        raise Fault(f"{name} cannot be imported: {error}", CHECKS["attention"][1]) from error


def platform(asked: dict[str, Any]) -> str:
    """The platform that it chooses, which for CUDA loads its kernels; the build for the CPU is another package."""
    metadata.version("vllm")
    from vllm.platforms import current_platform

    if asked["gpus"] and current_platform.device_type != "cuda":
        raise Fault(
            f"its platform is {current_platform.device_type or 'none'}, not cuda", CHECKS["vLLM"][1].format("gpu")
        )
    return f"its platform is {current_platform.device_type or 'none, as there is no driver'}"


CHECKS: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "driver": (driver, "see that `nvidia-smi` works"),
    "compiler": (
        compiler,
        "install gcc and g++, or load their module: what torch compiles at the first step needs them",
    ),
    "sockets": (sockets, "set TMPDIR to a folder of this machine, for instance /tmp"),
    "torch": (multiply, _AGAIN),
    "NCCL": (nccl, _AGAIN),
    "attention": (attention, "install it, or name in the scale what is installed"),
    "vLLM": (platform, _AGAIN),
}
"""Name -> the attempt, and what to do where a library fails in a way of its own."""
OF_DEVICE: dict[str, Sequence[str]] = {"cpu": ("sockets", "torch"), "cuda": tuple(CHECKS)}


def _kind(asked: dict[str, Any]) -> str:
    return "cpu" if asked["device"] == "cpu" else "gpu"


def main(asked: dict[str, Any]) -> None:
    """Tells of each attempt when it begins and when it has ended; without a driver nothing runs on GPUs."""
    for name in asked["checks"]:
        attempt, remedy = CHECKS[name]
        _say(name=name)
        try:
            result = {"ok": True, "seen": attempt(asked), "remedy": ""}
        except Fault as fault:
            result = {"ok": False, "seen": str(fault), "remedy": fault.remedy}
        except Exception as error:
            told = f"{type(error).__name__}: {' '.join(str(error).split())}"
            result = {"ok": False, "seen": told, "remedy": remedy.format(_kind(asked))}
        _say(name=name, **result)
        if name == "torch" and not result["ok"]:
            return  # the rest needs it
        if name == "driver" and not result["ok"]:
            asked["gpus"] = 0


def _say(**what: Any) -> None:
    print(MARK + json.dumps(what), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
