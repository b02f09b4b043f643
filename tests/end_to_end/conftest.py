"""Cells of the CPU world made small: two steps, 32 held-out problems."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SMALL = (
    "steps=2",
    "data.train_problems=32",
    "data.validation_problems=8",
    "verl.data.val_batch_size=8",
    "verl.data.train_batch_size=8",
    "verl.actor_rollout_ref.actor.ppo_mini_batch_size=8",
    "verl.actor_rollout_ref.rollout.n=4",
    "benchmarks.0.problems=32",
    "evaluation.batch_size=32",
)


@dataclass
class Workspace:
    """A folder with its own runs, records and data, in which cells are run as a user runs them."""

    folder: Path

    def command(self, *overrides: str) -> list[str]:
        paths = [f"paths.{name}={self.folder / name}" for name in ("runs", "records", "data")]
        return [sys.executable, str(ROOT / "experiments" / "run.py"), *overrides, *paths]

    def run(self, *overrides: str, timeout: float = 800) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(*overrides), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        )

    def start(self, *overrides: str) -> subprocess.Popen:
        return subprocess.Popen(
            self.command(*overrides),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # As in a terminal: a test runner that was started in the background ignores interrupts, and so would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def status(self) -> dict:
        """The status file of the only cell in this workspace; empty while it is not there."""
        for path in (self.folder / "runs").glob("*/*/status.json"):
            return json.loads(path.read_text())
        return {}

    def run_directory(self) -> Path:
        (path,) = (config.parent for config in (self.folder / "runs").glob("*/*/config.yaml"))
        return path

    def record(self) -> dict:
        (path,) = (self.folder / "records").glob("*.json")
        return json.loads(path.read_text())

    def processes(self) -> list[psutil.Process]:
        """Processes that belong to a run directory of this workspace."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("KAWHI_RUN_DIR", "").startswith(str(self.folder)):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def kill_when(self, process: subprocess.Popen, condition, timeout: float = 400) -> None:
        """SIGKILL to the harness's whole process group as soon as the condition holds."""
        deadline = time.monotonic() + timeout
        while not condition(self.status()):
            assert process.poll() is None, f"the cell ended before it could be killed: {self.status()}"
            assert time.monotonic() < deadline, f"never got there: {self.status()}"
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Workspace:
    """A finished small KAWHI cell of Qwen2.5-VL, for whoever only looks at it; one for all workers of pytest-xdist."""
    own = tmp_path_factory.getbasetemp()
    workspace = Workspace((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "undisturbed")
    workspace.folder.mkdir(exist_ok=True)
    with open(workspace.folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = workspace.run(*SMALL)  # nothing to do when another worker has run it
    assert done.returncode == 0, done.stderr[-3000:]
    return workspace


@pytest.fixture(scope="module")
def shared_workspace(tmp_path_factory) -> Workspace:
    """One workspace for the tests of a module that look at the same finished cell."""
    return Workspace(tmp_path_factory.mktemp("workspace"))
