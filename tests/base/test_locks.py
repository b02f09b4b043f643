"""A lock is for as long as its process lives, and its file stays."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kawhi.base.errors import CellError
from kawhi.base.locks import alone
from kawhi.base.rundir import RunDirectory

HOLDER = """
import sys, time; from pathlib import Path; from kawhi.base.locks import alone
with alone(Path(sys.argv[1])): print(flush=True); time.sleep(600)
"""


def test_a_process_that_is_killed_has_it_no_longer(tmp_path):
    file = tmp_path / ".lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(file)], stdout=subprocess.PIPE)
    holder.stdout.readline()
    before, run = file.stat().st_ino, RunDirectory(tmp_path)
    assert run.held()
    with pytest.raises(CellError, match="taken"), alone(file, "taken", seconds=0.2):
        pytest.fail("was let in")
    holder.kill()
    holder.wait()
    assert not run.held()
    with alone(file, "taken", seconds=0):
        assert run.held()
    assert file.stat().st_ino == before


def test_one_that_looks_is_waited_for(tmp_path):
    """`held` has the lock for a moment; a cell that starts then is not refused."""
    looker = subprocess.Popen([sys.executable, "-c", LOOKER, str(tmp_path / ".lock")], stdout=subprocess.PIPE)
    looker.stdout.readline()
    with RunDirectory(tmp_path).locked():
        pass
    assert looker.wait() == 0


LOOKER = """
import fcntl, sys, time
file = open(sys.argv[1], "w"); fcntl.flock(file, fcntl.LOCK_SH); print(flush=True); time.sleep(0.15)
"""
