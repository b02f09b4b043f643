"""A machine that is too small says so before anything starts."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from kawhi import fork_server
from kawhi.base import resources
from kawhi.base.errors import CellError
from kawhi.base.resources import GIB, available_memory, free_disk, require, tightest
from tests.cells import ROOT


def test_a_machine_that_is_too_small_is_one_sentence(tmp_path, monkeypatch):
    require(memory_gib=0, disk_gib=0, folder=tmp_path)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(resources, "tightest", lambda: (int(4.04 * GIB), "the shell's limit, ulimit -v"))
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda _: usage(GIB, 0, GIB // 4))
    for needs, sentence in (
        (
            {"memory_gib": 8, "disk_gib": 0},
            "a cell needs about 8 GiB of memory and 4.0 GiB are available: "
            "close other programs, raise the shell's limit, ulimit -v, or use a larger machine",
        ),
        (
            {"memory_gib": 0, "disk_gib": 0.5},
            f"a cell needs about 0.5 GiB of disk and 0.25 GiB are free under {tmp_path}: "
            "free some space or set paths.runs",
        ),
    ):
        with pytest.raises(CellError, match=f"^{re.escape(sentence)}$"):
            require(**needs, folder=tmp_path)


def test_a_folder_that_does_not_exist_yet_has_the_disk_of_its_parent(tmp_path):
    assert free_disk(tmp_path / "not" / "yet") == pytest.approx(shutil.disk_usage(tmp_path).free, abs=GIB)
    with pytest.raises(FileNotFoundError):
        shutil.disk_usage(tmp_path / "not" / "yet")


def test_the_limit_of_the_container_counts(monkeypatch):
    """What the machine has is not what a cgroup may use."""
    files = {"/sys/fs/cgroup/memory.max": "3000\n", "/sys/fs/cgroup/memory.current": "1000\n"}

    class FakePath(type(resources.Path())):
        def read_text(self):
            if str(self) in files:
                return files[str(self)]
            raise FileNotFoundError(self)

    monkeypatch.setattr(resources, "Path", FakePath)
    assert tightest() == (2000, "the container's limit, /sys/fs/cgroup/memory.max")
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert available_memory() > 2000
    files["/sys/fs/cgroup/memory.max"] = "900\n"
    assert available_memory() == 0


def test_three_gib_of_address_space_stop_a_cell_with_one_sentence(tmp_path):
    """The whole way: a user's `ulimit -v`, the command, one line on stderr, nothing written."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (3 * GIB, 3 * GIB))

    command = [sys.executable, str(ROOT / "experiments" / "run.py")]
    command += [f"paths.{name}={tmp_path / name}" for name in ("runs", "records", "data")]
    given = {name: value for name, value in os.environ.items() if name != fork_server.VARIABLE}
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, env=given)
    assert done.returncode == 1
    assert done.stdout == ""
    found = re.fullmatch(
        r"error: a cell needs about 4 GiB of memory and ([\d.]+) GiB are available: close other .*\n", done.stderr
    )
    assert found, done.stderr
    assert float(found[1]) <= 3
    assert not list((tmp_path / "runs").glob("none"))
