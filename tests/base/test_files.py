"""A reader never sees a file half-written, whatever becomes of the writer."""

from __future__ import annotations

import errno
import json
import os
import subprocess

import pytest

from kawhi.base import files
from kawhi.base.errors import CellError
from kawhi.base.files import write_atomically, write_json


def test_text_is_replaced_and_folders_are_made(tmp_path):
    path = tmp_path / "new" / "folder" / "x.txt"
    write_atomically(path, "old, and longer")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_writer_that_fails_leaves_the_old_text_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "x.txt"
    write_atomically(path, "old")

    def fail(*_):
        assert path.read_text() == "old"
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(OSError, match="broken disk"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["disk", "quota"])
def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch, number):
    def full(*_):
        raise OSError(number, "full")

    path = tmp_path / "x.txt"
    write_atomically(path, "old")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(CellError, match=r"^the disk that holds .* is full: free some space and run again$"):
        write_atomically(path, "new")
    assert path.read_text() == "old"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB, where the system allows one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "kawhi-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk):
    path = small_disk / "x.txt"
    write_atomically(path, "old")
    with pytest.raises(CellError, match="is full: free some space"):
        write_atomically(path, "new" * 40_000)
    assert path.read_text() == "old"
    assert list(small_disk.iterdir()) == [path]
    write_atomically(path, "there is room for this")
    assert path.read_text() == "there is room for this"


def test_json_has_one_form(tmp_path):
    write_json(tmp_path / "a", {"b": 1, "a": [2]})
    write_json(tmp_path / "b", {"a": [2], "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads((tmp_path / "a").read_text()) == {"a": [2], "b": 1}
