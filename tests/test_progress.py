"""The lines of a long test run, read from its output as a pipe or a file gets it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.cells import ROOT

SUITE = r"""
import os, re, time

def wait_for(line):
    while not re.search(line, open("out.txt").read()):
        time.sleep(0.05)

def test_first():
    wait_for(r"\] 0 of 3 tests; now test_suite.py::test_first \(\d+ s\)\n")

def test_second():  # with xdist its worker is gone
    os._exit(1) if "PYTEST_XDIST_WORKER" in os.environ else 1 / 0

def test_third():
    wait_for(r"\] 2 of 3 tests, 1 failed, the last test_suite.py::test_\w+; now test_suite.py::test_third \(\d+ s\)\n")
"""


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_a_line_says_what_is_done_and_what_runs(tmp_path, options):
    """The tests inside end when they have read the line about themselves."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "quick.py").write_text("import tests.progress; tests.progress.EVERY = 0.2")
    command = [sys.executable, "-m", "pytest", "-p", "quick", "-p", "tests.progress", *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    environment.pop("PYTEST_XDIST_WORKER", None)  # of the run that this test is in
    with open(tmp_path / "out.txt", "w") as out:
        subprocess.run(command, cwd=tmp_path, env=environment, stdout=out, stderr=out, timeout=300)
    assert "1 failed, 2 passed" in (tmp_path / "out.txt").read_text()
