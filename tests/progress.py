"""A pytest plug-in for long runs: every half minute a line that says how many tests are done and which ones run.

``pytest -p tests.progress``, as ``make test`` does; with pytest-xdist, and in a pipe, too.
"""

from __future__ import annotations

import os
import sys
import threading
import time

EVERY = 30
"""Seconds."""


class Progress:
    """Counts the tests of a run; :meth:`line` says where it is."""

    def __init__(self) -> None:
        self.total = self.done = 0
        self.failed: list[str] = []
        self.running: dict[str, float] = {}  # test -> when it started
        self.began = time.monotonic()

    def pytest_collection_finish(self, session) -> None:
        self.total = len(session.items) or self.total

    def pytest_xdist_node_collection_finished(self, ids) -> None:
        self.total = len(ids)

    def pytest_runtest_logstart(self, nodeid) -> None:
        self.running[nodeid] = time.monotonic()

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self.failed.append(report.nodeid.rpartition("/")[2])
        if report.when not in ("setup", "call"):  # the last report of a test, also of one that took its worker along
            self.done += 1
            self.running.pop(report.nodeid, None)

    def line(self) -> str:
        now = time.monotonic()
        done = f"{self.done} of {self.total} tests" if self.total else "looking for tests"
        failed = f", {len(self.failed)} failed, the last {self.failed[-1]}" if self.failed else ""
        running = sorted(self.running.copy().items(), key=lambda item: item[1])  # the longest first
        each = ", ".join(f"{name.rpartition('/')[2]} ({now - since:.0f} s)" for name, since in running)
        return f"[{now - self.began:5.0f} s] {done}{failed}{'; now ' * bool(each)}{each}"


class Printer(threading.Thread):
    """Prints the line while a session lasts."""

    def __init__(self, progress: Progress):
        super().__init__(daemon=True)
        self._progress, self._end = progress, threading.Event()
        # pytest puts a file in the place of stdout while a test runs in this process.
        self._file = os.fdopen(os.dup(sys.stdout.fileno()), "w")

    def run(self) -> None:
        while not self._end.wait(EVERY):
            print(f"\n{self._progress.line()}", file=self._file, flush=True)

    def pytest_sessionstart(self) -> None:
        self.start()

    def pytest_sessionfinish(self) -> None:
        self._end.set()
        self.join()


def pytest_configure(config) -> None:
    if not hasattr(config, "workerinput"):  # a worker of xdist is silent: the process that deals out the tests prints
        progress = Progress()
        config.pluginmanager.register(progress)
        config.pluginmanager.register(Printer(progress))
