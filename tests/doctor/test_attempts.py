"""`ready` is said of what was imported and ran: one fault after the other, on a made-up machine with two GPUs."""

from __future__ import annotations

import runpy
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from kawhi.base import resources
from kawhi.doctor import attempts, machine
from kawhi.doctor.needs import GIB, Needs
from tests.cells import CONF, ROOT
from tests.doctor import gpu_world

NEEDS = Needs("two", gpus=2, cpus=1, memory_gib=0, disk_gib=100, attention="sdpa", host_memory_gib=64)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """The folder whose packages are found first; everything else of that machine is plenty."""
    for name, value in gpu_world.make(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TMPDIR", raising=False)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(resources, "available_memory", lambda: 128 * GIB)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage(500 * GIB, 0, 500 * GIB))
    return tmp_path


def problems(needs: Needs = NEEDS) -> dict[str, machine.Finding]:
    return {finding.name: finding for finding in machine.examine(Path("."), needs) if not finding.ok}


def test_a_machine_on_which_all_of_it_ran_is_ready(world):
    found = {finding.name: finding for finding in machine.examine(Path("."), NEEDS)}
    assert {name: its.seen for name, its in found.items() if not its.ok} == {}
    assert found["driver"].seen == "580.65.06"
    assert found["torch"].seen == "2.13.0 multiplied on cuda:0, cuda:1"
    assert found["NCCL"].seen == "2.29.7 summed"
    assert found["attention"].seen == "sdpa ran on cuda:0"
    assert found["vLLM"].seen == "its platform is cuda"


def broken(file: str, old: str, new: str) -> dict[str, str]:
    assert old in gpu_world.FILES[file]
    return {file: gpu_world.FILES[file].replace(old, new)}


NO_CUDA = broken("torch/__init__.py", 'cuda="13.0"', "cuda=None")
LIBRARY = "libcudnn.so.9: cannot open shared object file"
FAULTS = {
    "no torch": (
        {"torch/__init__.py": "raise ModuleNotFoundError(\"No module named 'torch'\")"},
        "torch",
        "ModuleNotFoundError: No module named 'torch'",
        "run `make clean setup-gpu`",
    ),
    "CUDA torch without its libraries": (
        {"torch/__init__.py": f"raise ImportError({LIBRARY!r})"},
        "torch",
        f"ImportError: {LIBRARY}",
        "run `make clean setup-gpu`",
    ),
    "torch for the CPU": (NO_CUDA, "torch", "2.13.0 is a build for the CPU", "run `make clean setup-gpu`"),
    "fewer GPUs": (
        broken("torch/__init__.py", "lambda: 2", "lambda: 1"),
        "torch",
        "2.13.0 sees 1 of the 2 GPUs of scale=two",
        "see CUDA_VISIBLE_DEVICES",
    ),
    "a GPU that is wrong": (
        broken("torch/__init__.py", "return 256", "return 255"),
        "torch",
        "2.13.0 multiplies wrongly on cuda:0",
        "do not use that device",
    ),
    "a processor without an instruction": (
        {"torch/__init__.py": "import os; os.kill(os.getpid(), 4)"},
        "torch",
        "ended the process with signal 4",
        "run `make clean setup-gpu`",
    ),
    "an old driver": (
        {"nvidia-smi": "#!/bin/sh\necho 535.183.01\n"},
        "driver",
        "535.183.01",
        "have the NVIDIA driver updated to 580 or newer: CUDA 13 needs it",
    ),
    "a driver that does not answer": (
        {"nvidia-smi": "#!/bin/sh\necho NVML mismatch >&2\nexit 18\n"},
        "driver",
        "nvidia-smi failed: NVML mismatch",
        "see that `nvidia-smi` works",
    ),
    "no NCCL": (
        broken("torch/distributed.py", "return True", "return False"),
        "NCCL",
        "this build of torch has none",
        "run `make clean setup-gpu`",
    ),
    "NCCL that cannot start": (
        broken("torch/distributed.py", 'assert backend == "nccl"', "raise RuntimeError('unhandled system error')"),
        "NCCL",
        "RuntimeError: unhandled system error",
        "run `make clean setup-gpu`",
    ),
    "vLLM on another platform": (
        broken("vllm/platforms.py", "cuda", ""),
        "vLLM",
        "its platform is none, not cuda",
        "run `make clean setup-gpu`",
    ),
}


@pytest.mark.parametrize(("files", "name", "seen", "remedy"), FAULTS.values(), ids=FAULTS)
def test_one_fault_is_one_sentence(world, files, name, seen, remedy):
    for file, text in files.items():
        (world / file).write_text(text)
    ((found, problem),) = problems().items()
    assert (found, problem.seen) == (name, seen)
    assert problem.remedy.startswith(remedy)


def test_without_a_driver_the_rest_is_imported_and_runs_nowhere(world, monkeypatch):
    (world / "nvidia-smi").unlink()
    ((found, problem),) = problems().items()
    assert (found, problem.seen) == ("driver", "no nvidia-smi here")
    assert problem.remedy.endswith("on a login node, kawhi doctor --cluster scale=two")


@pytest.mark.parametrize(
    ("attention", "seen"),
    [
        ("flash_attention_3", None),
        ("flash_attention_2", "flash_attention_2 cannot be imported: No module named 'flash_attn'"),
        ("flash_attention_9", "flash_attention_9 is none that is known"),
    ],
)
def test_the_attention_is_the_scale_s(world, attention, seen):
    found = problems(replace(NEEDS, attention=attention))
    assert {name: its.seen for name, its in found.items()} == ({"attention": seen} if seen else {})


def test_flash_attention_4_is_not_taken_for_2(world):
    """Both put their modules into one folder."""
    (world / "flash_attn" / "cute").mkdir(parents=True)
    (world / "flash_attn" / "cute" / "__init__.py").write_text("def flash_attn_func(q, k, v): return q, None\n")
    assert problems(replace(NEEDS, attention="flash_attention_4")) == {}
    found = problems(replace(NEEDS, attention="flash_attention_2"))["attention"]
    assert found.seen == "flash_attention_2 cannot be imported: module 'flash_attn' has no attribute 'flash_attn_func'"


def test_a_long_tmpdir(world, monkeypatch):
    """Ray's sockets would have names that Linux does not take."""
    folder = world / ("long" * 10)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    ((found, problem),) = problems().items()
    assert found == "sockets"
    assert f"names of {len(str(folder)) + len(attempts._RAY)} bytes in {folder}, and Linux takes 107" in problem.seen
    assert problem.remedy == "set TMPDIR to a folder of at most 39 bytes, for instance /tmp"


def test_the_longest_tmpdir_is_one_in_which_a_name_of_that_length_can_be_bound():
    assert 39 + len(attempts._RAY) == attempts.SOCKET
    with pytest.raises(OSError, match="too long"), attempts.socket.socket(attempts.socket.AF_UNIX) as one:
        one.bind("/" + "x" * attempts.SOCKET)


def test_a_tmpdir_that_is_not_there(world, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/no/such")
    ((found, problem),) = problems().items()
    assert (found, problem.seen) == ("sockets", "no socket can be made in /no/such: No such file or directory")


def test_a_full_and_a_small_shared_memory(world, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage(500 * GIB, 499 * GIB, GIB))
    found = problems()
    assert found["shared memory"].seen == "1.0 GiB in /dev/shm"
    assert found["shared memory"].remedy.startswith("remove what is left in /dev/shm, which should have 8 GiB free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage(GIB, 0, GIB))
    assert problems()["shared memory"].remedy.startswith("enlarge /dev/shm (docker: --shm-size=8g)")


@pytest.mark.parametrize(
    ("variables", "seen", "remedy"),
    [
        ({"CXX": "/no/such/g++"}, "no g++: No such file or directory", "install gcc and g++"),
        ({"CC": "/no/such/cc"}, "no cc: No such file or directory", "install gcc and g++"),
    ],
)
def test_no_compiler(world, monkeypatch, variables, seen, remedy):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ((found, problem),) = problems().items()
    assert (found, problem.seen) == ("compiler", seen)
    assert problem.remedy.startswith(remedy)


def test_a_python_without_its_headers(world, monkeypatch):
    compiler = world / "cc"
    compiler.write_text("#!/bin/sh\necho '<stdin>:1:10: fatal error: Python.h: No such file' >&2; exit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    ((found, problem),) = problems().items()
    assert (found, problem.seen) == ("compiler", "Python.h is missing")
    assert "-dev" in problem.remedy


def test_a_library_that_never_returns_is_not_waited_for(world, monkeypatch):
    (world / "vllm" / "platforms.py").write_text("import time; time.sleep(600)")
    monkeypatch.setattr(attempts, "SECONDS", 3)
    ((found, problem),) = problems().items()
    assert (found, problem.seen) == ("vLLM", "did not end within 3 s")


def test_here_torch_runs_as_the_cpu_world_needs_it():
    found = attempts.run(attempts.source(), Needs.of(CONF, "cpu").attempts())
    assert [(each["name"], each["ok"]) for each in found] == [("sockets", True), ("torch", True)]


def test_set_up_asks_for_the_driver_that_the_doctor_asks_for():
    found = runpy.run_path(str(ROOT / "requirements" / "machine.py"))
    assert (found["DRIVER"], found["PYTHONS"]) == (attempts.DRIVER, machine.PYTHONS)
