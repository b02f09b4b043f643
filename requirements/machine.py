"""Whether this machine can have an environment; ends with one sentence where it cannot.

PYTHON requirements/machine.py cpu|gpu FOLDER

``make setup`` asks with the Python that the environment is to have, whichever that is: nothing here is newer than
Python 3.6.
"""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys

PYTHONS = ((3, 11), (3, 12))
DRIVER = 580
"""The oldest NVIDIA driver that runs CUDA 13."""
GLIBC = (2, 31)
"""The C library that llguidance, which vLLM needs, is built for."""
DISK_GB = {"cpu": 6, "gpu": 16}
"""What is free in the end, and pip's downloads: those of gpu.txt have 4.2 GB and are twice as much unpacked."""


def main(kind, folder):
    """The first thing that is wrong, if any; for GPUs also a word on a missing driver, which login nodes do without."""
    for trouble in (python_trouble(), other_kind(kind, folder), glibc_trouble(), disk_trouble(kind, folder)):
        if trouble:
            sys.exit(f"error: {trouble}")
    if kind != "gpu":
        return
    driver = driver_version()
    if driver is None:
        print(f"no NVIDIA driver answers here; where the GPUs are it must be {DRIVER} or newer (kawhi doctor says)")
    elif int(driver.split(".")[0]) < DRIVER:
        told = f"the NVIDIA driver is {driver} and CUDA 13 needs {DRIVER} or newer"
        sys.exit(f"error: {told}: have it updated, or take make setup-cpu, the CPU world alone")


def python_trouble():
    """verl 0.9.1 takes no Python after 3.12."""
    seen = sys.version_info[:2]
    name = f"{seen[0]}.{seen[1]}"
    if seen > PYTHONS[-1]:
        return f"Python {name} is too new for verl 0.9.1: say PYTHON=/path/to/python3.12"
    if seen not in PYTHONS:
        return f"Python {name} is too old: say PYTHON=/path/to/python3.11 or python3.12"
    if not all(importlib.util.find_spec(module) for module in ("venv", "ensurepip")):
        return f"Python's venv module is missing: install python{name}-venv"
    return ""


def other_kind(kind, folder):
    """An environment is for one of both; another is never overwritten in silence."""
    other = {"cpu": "gpu", "gpu": "cpu"}[kind]
    if not os.path.exists(os.path.join(folder, ".installed-" + other)):
        return ""
    told = f"{folder} is installed from requirements/{other}.txt and this needs requirements/{kind}.txt"
    return f"{told}: say VENV=.venv-{kind} after make's target, which keeps both, or make clean first"


def glibc_trouble():
    name, version = platform.libc_ver()
    if name == "glibc" and tuple(map(int, version.split(".")[:2])) < GLIBC:
        told = f"the C library (glibc) is {version} and the packages need {GLIBC[0]}.{GLIBC[1]} or newer"
        return f"{told}: use a newer Linux, or the container that requirements/Dockerfile makes"
    return ""


def disk_trouble(kind, folder):
    parent = os.path.dirname(os.path.abspath(folder))
    free = shutil.disk_usage(parent).free / 1e9
    if free < DISK_GB[kind]:
        return f"the environment needs {DISK_GB[kind]} GB of disk and {free:.0f} GB are free in {parent}"
    return ""


def driver_version():
    """Of the first GPU; nothing where no driver answers."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.check_output(query, stderr=subprocess.DEVNULL, universal_newlines=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.split()[0] if said.split() else None


if __name__ == "__main__":
    main(*sys.argv[1:])
