"""A cell without the fork server is the same cell."""

import os
from pathlib import Path

import pytest

from kawhi import fork_server

from .conftest import SMALL
from .test_killed import numbers, same_numbers, without

pytestmark = pytest.mark.slow

STARTED_PLAINLY = "; started plainly: "


def test_the_record_does_not_depend_on_the_fork_server(workspace, undisturbed, monkeypatch):
    monkeypatch.setenv(fork_server.VARIABLE, "0")
    workspace.run("credit=kawhi", "logger=tensorboard", *SMALL)
    plain, forked = workspace.record(), undisturbed.record()
    assert without(plain, "run", "health", "command") == without(forked, "run", "health", "command")
    assert plain["health"] == pytest.approx(forked["health"], abs=1e-5)
    same_numbers(numbers(workspace.run_directory()), numbers(undisturbed.run_directory()))


def test_all_that_is_to_be_imported_beforehand_can_be(undisturbed):
    log = (Path(os.environ[fork_server.VARIABLE]) / "log").read_text()
    assert "modules in" in log
    assert "not preloaded" not in log


def test_all_processes_of_a_cell_are_forked(undisturbed):
    """What a process that was refused says stands in its log; Ray's workers write into the driver's."""
    for log in (undisturbed.run_directory() / "logs").iterdir():
        assert STARTED_PLAINLY not in log.read_text(errors="replace"), log
