"""Cells of the CPU world made small: two steps, 32 held-out problems."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.cells import ROOT, environment, until

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
TRAINED, BASELINE = "*_grpo_*", "*_baseline-*"
"""Names of run directories and records."""


def programs() -> str:
    """Shell functions for what pages' commands call, without another PATH, which the fork server would refuse."""
    paths = {name: Path(sys.prefix) / "bin" / name for name in ("kawhi", "kawhi-run")} | {"python": sys.executable}
    return "".join(f'{name}() {{ {path} "$@"; }}\n' for name, path in paths.items())


@dataclass
class Workspace:
    """A folder with its own runs, records and data, in which cells are run as a user runs them."""

    folder: Path

    def command(self, *overrides: str) -> list[str]:
        paths = [f"paths.{name}={self.folder / name}" for name in ("runs", "records", "data")]
        return [sys.executable, str(ROOT / "experiments" / "run.py"), *overrides, *paths]

    def run(self, *overrides: str, code: int | None = 0, timeout: float = 900) -> subprocess.CompletedProcess:
        """A cell to its end, with this exit code; ``None`` for any."""
        pipes = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
        done = subprocess.run(self.command(*overrides), timeout=timeout, **pipes)
        assert code in (None, done.returncode), done.stderr[-3000:]
        return done

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

    def run_directory(self, name: str = "*") -> Path:
        """The only run directory whose name fits."""
        (path,) = (config.parent for config in (self.folder / "runs").glob(f"*/{name}/config.yaml"))
        return path

    def evaluation(self, name: str = "*") -> Path:
        """The folder of the only evaluation in the run directory whose name fits."""
        (path,) = (config.parent for config in self.run_directory(name).glob("eval/*/config.yaml"))
        return path

    def records(self, name: str = "*") -> list[dict]:
        """The records whose name fits, those of evaluations last."""
        found = [json.loads(path.read_text()) for path in sorted((self.folder / "records").glob(f"{name}.json"))]
        return sorted(found, key=lambda record: record["study"] == "evaluation")

    def record(self, name: str = "*") -> dict:
        """The only record whose name fits that is none of an evaluation, with the scores of those that are its own.

        Of an untrained model, which has no record of its own, the scores alone.
        """
        evaluations = [each for each in self.records(name) if each["study"] == "evaluation"]
        (own,) = self.records(name)[: -len(evaluations) or None] or [{}]
        of = {each["config"]["of"]["hash"] for each in evaluations}
        assert of in ({own["cell"]["hash"]} if own else of, set())
        return own | {"benchmarks": {each["task"]: each["result"] for each in evaluations}}

    def processes(self) -> list[psutil.Process]:
        """Processes that belong to a run directory of this workspace."""
        all_of_them = psutil.process_iter()
        return [each for each in all_of_them if environment(each).get("KAWHI_RUN_DIR", "").startswith(str(self.folder))]

    def kill_when(self, process: subprocess.Popen, condition: Callable[[], object]) -> None:
        """SIGKILL to the harness's whole process group as soon as the condition holds; nothing of it stays."""
        until(condition, 400, alive=process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.all_end()

    def all_end(self) -> None:
        """The kernel ends the stage with the harness, Ray's reaper ends Ray's workers; both need a moment."""
        until(lambda: not self.processes(), 20)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


class Undisturbed(Workspace):
    """Where a trained cell and the baseline of its gate lie side by side, with what the commands said."""

    def run_directory(self, name: str = TRAINED) -> Path:
        return super().run_directory(name)

    def record(self, name: str = TRAINED) -> dict:
        return super().record(name)

    def keep(self, what: str, value) -> None:
        (self.folder / f"{what}.kept").write_text(json.dumps(value))

    def kept(self, what: str):
        return json.loads((self.folder / f"{what}.kept").read_text())

    def sweep(self, what: str, score: float) -> subprocess.CompletedProcess:
        """A sweep of one cell whose untrained model should have ``score``."""
        gate = f"+gate.scores={{tiny-qwen2.5-vl: {{kawhi_tiny: {score}}}}}"
        done = self.run("-m", "credit=kawhi", "logger=tensorboard", "keep.checkpoints=true", gate, *SMALL, code=None)
        self.keep(what, [done.returncode, done.stdout, done.stderr])
        return done


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Undisturbed:
    """A finished small KAWHI cell of Qwen2.5-VL, for whoever only looks at it; one for all workers of pytest-xdist.

    A sweep that its gate refused, and then one that it let pass.
    """
    own = tmp_path_factory.getbasetemp()
    workspace = Undisturbed((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "undisturbed")
    workspace.folder.mkdir(exist_ok=True)
    with open(workspace.folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(workspace.folder.glob(f"records/{TRAINED}.json")):  # or another worker has run it
            workspace.sweep("refused", 99.9)
            studies = [record["study"] for record in workspace.records()]
            trained = [path.name for path in workspace.folder.glob("runs/*/*/train")]
            workspace.keep("after the refusal", studies + trained)
            done = workspace.sweep("passed", 42)
            assert done.returncode == 0, done.stderr[-3000:]
    return workspace
