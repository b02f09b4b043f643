"""The doctor finds what is wrong and says one thing to do about it."""

from __future__ import annotations

from collections import namedtuple

import pytest
from omegaconf import OmegaConf

from kawhi.base import pins, resources
from kawhi.base.errors import CellError
from kawhi.base.pins import PINNED
from kawhi.doctor import machine as doctor
from kawhi.doctor.machine import Finding, examine, report
from kawhi.doctor.needs import GIB, Needs
from tests.cells import CONF


@pytest.fixture
def healthy(tmp_path, monkeypatch):
    """This machine with enough of everything, whatever else is running on it."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(resources, "available_memory", lambda: 16 * GIB)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage(0, 0, 50 * GIB))
    monkeypatch.setattr(doctor.importable, "trouble", lambda: "")  # the real one takes seconds: once, below
    return tmp_path


NEEDS = Needs.of(CONF, "cpu")


def problems(folder) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(folder, NEEDS) if not finding.ok}


def test_a_healthy_machine_is_ready(healthy, capsys):
    assert report(healthy) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "ready"
    assert all(line.startswith("ok  ") for line in printed.out.splitlines()[:-1])
    assert printed.err == ""


def test_every_problem_has_a_remedy_and_only_problems_have_one(tmp_path):
    for finding in examine(tmp_path, NEEDS):
        assert bool(finding.remedy) != finding.ok, finding
        assert finding.seen


def test_the_doctor_asks_for_what_a_cell_needs():
    needs = OmegaConf.load(CONF / "scale" / "cpu.yaml").scale.needs
    assert needs.memory_gib == NEEDS.host_memory_gib
    assert needs.disk_gib <= doctor.NEEDS_DISK


def test_a_scale_that_does_not_exist_is_told(healthy):
    with pytest.raises(CellError, match="scale=nope is not one of cpu, gpu24x1, gpu80x1, gpu80x4, gpu80x8, h200x8"):
        report(healthy, "nope")


def test_an_environment_for_gpus_is_not_ready_for_the_cpu_world(healthy, monkeypatch):
    monkeypatch.setattr(doctor, "environment", lambda: "gpu")
    ((found, problem),) = problems(healthy).items()
    assert (found, problem.seen) == ("environment", "of requirements/gpu.txt")
    assert problem.remedy.startswith("run `make setup-cpu VENV=.venv-cpu`")


def test_disk_and_shared_memory(healthy, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage(0, 0, GIB // 10))
    found = problems(healthy / "not" / "there" / "yet")
    assert set(found) == {"disk", "shared memory"}
    assert "paths.runs" in found["disk"].remedy
    assert "--shm-size" in found["shared memory"].remedy


def test_no_shared_memory(healthy, monkeypatch):
    real = doctor.shutil.disk_usage

    def usage(path):
        if path == "/dev/shm":
            raise FileNotFoundError(path)
        return real(path)

    monkeypatch.setattr(doctor.shutil, "disk_usage", usage)
    assert problems(healthy)["shared memory"].remedy.startswith("mount a tmpfs on /dev/shm")


@pytest.mark.parametrize(("flags", "fine"), [("sse4_2 avx2", True), ("avx512f", True), ("sse4_2 avx", False)])
def test_processor(healthy, monkeypatch, flags, fine):
    class FakePath(type(doctor.Path())):
        def read_text(self):
            assert str(self) == "/proc/cpuinfo"
            return f"flags : {flags}\n"

    monkeypatch.setattr(doctor, "Path", FakePath)
    assert ("processor" not in problems(healthy)) is fine


class NoSocket(doctor.socket.socket):
    def bind(self, address):
        raise PermissionError("not permitted")


TROUBLE = "torch cannot be imported: ImportError: libcudnn.so.9"


@pytest.mark.parametrize(
    ("module", "name", "value", "check", "seen", "remedy"),
    [
        (resources, "available_memory", lambda: int(1.5 * GIB), "memory", "1.5 GiB available", "free 4 GiB: close"),
        (doctor.sys, "version_info", (3, 13, 1), "Python", "3.", "install Python 3.11 or 3.12"),
        (doctor.socket, "socket", NoSocket, "loopback ports", "not permitted", "allow connections on 127.0.0.1"),
        (doctor.importable, "trouble", lambda: TROUBLE, "imports", TROUBLE, "run `make clean setup-cpu`"),
    ],
)
def test_one_fault_is_one_problem(healthy, monkeypatch, module, name, value, check, seen, remedy):
    monkeypatch.setattr(module, name, value)
    ((found, problem),) = problems(healthy).items()
    assert found == check
    assert problem.seen.startswith(seen)
    assert problem.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        ({}, set()),
        ({"transformers": "5.9.1"}, {"transformers"}),
        ({"verl": "0.9.10"}, {"verl"}),  # no later version of 0.9.1
        ({"hydra-core": "1.3.99"}, set()),
        ({"lmms-eval": None}, {"lmms-eval"}),
        ({"torch": "2.6.0+cpu", "torchvision": "0.21.0+cpu"}, set()),
        ({"torch": "2.6.0", "torchvision": "0.22.0"}, {"torch and torchvision"}),
        ({"torchvision": None}, set()),  # which the imports tell
    ],
    ids=str,
)
def test_versions(healthy, monkeypatch, versions, found):
    installed = {**PINNED, "torch": "2.11.0+cpu", "torchvision": "0.26.0", **versions}

    def version(package):
        if installed.get(package) is None:
            raise pins.metadata.PackageNotFoundError(package)
        return installed[package]

    monkeypatch.setattr(pins.metadata, "version", version)
    assert set(problems(healthy)) == found


def test_problems_are_printed_with_what_to_do(healthy, monkeypatch, capsys):
    monkeypatch.setattr(resources, "available_memory", lambda: 0)
    assert report(healthy) == 1
    printed = capsys.readouterr()
    assert "NO  memory: 0.0 GiB available" in printed.out.splitlines()
    assert printed.err == "memory: free 4 GiB: close other programs or use a larger machine\n"
    number = len(printed.out.splitlines()) - 1
    assert printed.out.splitlines()[-1] == f"{number - 1} of {number} checks passed"
