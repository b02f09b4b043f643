"""The check's job on the nodes: one srun, answers line by line, orders by its input, which reaches every node."""

from __future__ import annotations

import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from kawhi.base.errors import CellError
from kawhi.doctor import attempts
from kawhi.doctor.probe import MARK, RAY_SECONDS

_WAIT_SECONDS = 60
_FACTS_SECONDS = 120
_LOOK_SECONDS = 45
_END_SECONDS = 60


class NoNodes(CellError):
    """The nodes could not be looked at; ``remedy`` says what to do."""

    def __init__(self, sentence: str, remedy: str):
        super().__init__(sentence)
        self.remedy = remedy


class Nodes:
    """A context in which ``number`` nodes answer.

    Args:
        number: of nodes.
        options: what each of them must offer, for srun.
        folder: on the shared file system.
        name: of this check.
    """

    patience = _WAIT_SECONDS

    def __init__(self, number: int, options: list[str], folder: Path, name: str):
        self.number, self.folder = number, folder
        python = shlex.split(os.environ.get("KAWHI_JOB_PYTHON", "")) or [
            os.environ.get("KAWHI_PYTHON") or sys.executable
        ]
        probe = (Path(__file__).parent / "probe.py").read_text()
        command = [*python, "-c", probe, str(folder), str(number), name]
        if setup := os.environ.get("KAWHI_SETUP"):
            command = ["bash", "-c", f'{setup}\nexec "$@"', "bash", *command]
        where = ["--nodes", str(number), "--ntasks", str(number), "--ntasks-per-node=1", *options]
        limits = [f"--immediate={_WAIT_SECONDS}", "--time=10", "--kill-on-bad-exit=0", "--unbuffered"]
        self.command = [*_srun(), *where, *limits, f"--job-name={name}", *command]
        self.errors: list[str] = []
        self._lines: queue.Queue[tuple[float, str] | None] = queue.Queue()

    def __enter__(self) -> Nodes:
        # A job of which this is a part has nodes of its own to say about; this is another job.
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SRUN_")) or k == "SLURM_CONF"
        }
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for read in (self._read, self._read_errors):
            threading.Thread(target=read, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        """Closing the input ends the probes; what does not end then is ended by Slurm."""
        assert self.process.stdin
        try:
            self.process.stdin.close()
            self.process.wait(timeout=_END_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            pass
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(number)
                try:
                    self.process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    continue

    def facts(self) -> list[dict[str, Any]]:
        """What each node tells of itself, in the order of their ids.

        Raises:
            NoNodes: Slurm has no free ones, or one of them does not answer.
        """
        return self._answers("facts", self.number, _WAIT_SECONDS + _FACTS_SECONDS)

    def look(self) -> list[dict[str, Any]]:
        """Which files each node sees."""
        self._order(do="look")
        return self._answers("look", self.number, _LOOK_SECONDS)

    def attempt(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """What came of ``attempts.py`` on each node."""
        self._order(do="attempt", source=attempts.source(), asked=asked)
        return self._answers("attempt", self.number, attempts.SECONDS + 30)

    def ray(self, token: str) -> dict[str, Any]:
        """Starts Ray on all nodes, runs a task on each, ends it; ``left`` are processes that did not end, by node."""
        self._order(do="ray", token=token)
        (head,) = self._answers("head", 1, _LOOK_SECONDS)
        self._order(do="join", address=head["address"])
        (answer,) = self._answers("ray", 1, RAY_SECONDS + 30)
        self._order(do="end")
        ends = self._answers("end", self.number, _END_SECONDS)
        trouble = "; ".join(f"{end['node']}: {end['trouble']}" for end in ends if end["trouble"])
        left = {end["node"]: end["left"] for end in ends if end["left"]}
        return answer | {"left": left, "trouble": "; ".join(filter(None, (answer["trouble"], trouble)))}

    def _order(self, **what: Any) -> None:
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise self._gone() from error

    def _answers(self, what: str, number: int, seconds: float) -> list[dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        end = time.monotonic() + seconds
        while len(found) < number:
            try:
                item = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                told = ", ".join(answer["node"] for answer in found.values()) or "none"
                raise NoNodes(
                    f"{number - len(found)} of {number} nodes did not answer within {seconds:.0f} s (answered: {told})",
                    f"log in there or run `{shlex.join(_srun())} -N{number} hostname` and see what hangs",
                ) from None
            if item is None:
                raise self._gone()
            arrived, line = item
            answer = json.loads(line)
            if answer["what"] == what:
                found[answer["id"]] = answer | {"arrived": arrived}
        return [found[key] for key in sorted(found)]

    def _gone(self) -> NoNodes:
        code = self.process.wait()
        said = [line for line in self.errors if line.strip()]
        text = " ".join(said)
        if "Requested nodes are busy" in text or "Immediate execution impossible" in text:
            return NoNodes(
                f"no {self.number} nodes were free within {_WAIT_SECONDS} s",
                "try again when the queue is shorter, or with --nodes 1",
            )
        last = next(
            (line for line in reversed(said) if not line.startswith("srun: ")), said[-1] if said else "no message"
        )
        names = "KAWHI_PYTHON, KAWHI_JOB_PYTHON and KAWHI_SETUP"
        remedy = f"see {names} in slurm/site.env: the nodes must be able to start that Python"
        return NoNodes(f"srun ended with exit code {code}: {last}", remedy)

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            for answer in answers_in(line):
                self._lines.put((time.time(), answer))
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr
        self.errors.extend(self.process.stderr)


def answers_in(line: str) -> list[str]:
    """The answers in a line of srun's output: two nodes that speak at the same moment may share one."""
    return line.split(MARK)[1:]


def _srun() -> list[str]:
    """srun with the site's settings, which it reads under other names than sbatch."""
    flags = [
        f"--{name}={os.environ[f'SBATCH_{name.upper()}']}"
        for name in ("partition", "account", "qos", "constraint", "reservation")
        if os.environ.get(f"SBATCH_{name.upper()}")
    ]
    return ["srun", *flags, *shlex.split(os.environ.get("KAWHI_SRUN_ARGS", ""))]
