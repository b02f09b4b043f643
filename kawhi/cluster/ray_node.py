"""One node's share of ``slurm/ray.sh``: python -m kawhi.cluster.ray_node DRIVER [ARGUMENTS]

Started once on every node of the job.  The first one starts Ray's head, waits for the other nodes, runs the driver and
leaves its exit code in a file, at which the others go.  Ray runs in block mode below this process: nothing of it
outlives the job, and no other Ray is touched.  Ray's own ``ray symmetric-run`` is not used, because it refuses to start
beside another Ray, ends with ``ray stop``, which ends every Ray of the user, hands on no signals, and takes all of
several nodes on one host for heads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from kawhi.base.errors import CellError
from kawhi.base.files import write_atomically
from kawhi.base.processes import die_with_parent
from kawhi.runs.stages import TRY_AGAIN

PATIENCE = 60
"""Seconds in which all nodes must have joined."""

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
"""What is handed on to the driver."""

_POLL_SECONDS = 0.3
_GRACE = 2  # after a notice Slurm itself waits 30 s, some clusters 5
_PR_SET_CHILD_SUBREAPER = 36
_RAY = (sys.executable, "-c", "from ray.scripts.scripts import main; main()")
_COUNT = """
import sys, time, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
while True:
    alive = sum(node["Alive"] for node in ray.nodes())
    print(alive, flush=True)
    if alive >= int(sys.argv[2]):
        break
    time.sleep(0.3)
"""


@dataclass(frozen=True)
class Node:
    """What ``slurm/ray.sh`` says to a node.

    Attributes:
        rank: its place among the job's nodes; 0 is the head.
        addresses: of all nodes.
        port: the first of the job's own ports.
        folder: Ray's own, on this machine.
        exit_file: on a disk that all nodes share.
    """

    rank: int
    addresses: tuple[str, ...]
    port: int
    folder: Path
    exit_file: Path
    name: str
    cpus: int
    gpus: int

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Node:
        """Raises:
        CellError: this is not a task of ``slurm/ray.sh``.
        """
        try:
            return cls(
                rank=int(environment["SLURM_NODEID"]),
                addresses=tuple(environment["KAWHI_RAY_ADDRESSES"].split()),
                port=int(environment["KAWHI_RAY_PORT"]),
                folder=Path(environment["KAWHI_RAY_FOLDER"]),
                exit_file=Path(environment["KAWHI_RAY_EXIT"]),
                name=environment.get("SLURMD_NODENAME", "?"),
                cpus=int(environment.get("SLURM_CPUS_ON_NODE", "1")),
                gpus=sum(bool(each) for each in environment.get("CUDA_VISIBLE_DEVICES", "").split(",")),
            )
        except KeyError as error:
            raise CellError(f"{error} is not set: this is started by sbatch slurm/ray.sh") from error

    @property
    def head(self) -> str:
        return f"{self.addresses[0]}:{self.port}"

    @property
    def log(self) -> Path:
        """What Ray prints here."""
        return self.exit_file.with_name(f"ray-{os.environ.get('SLURM_JOB_ID', 'x')}-{self.name}.log")

    def command(self) -> list[str]:
        """``ray start`` for this node; the ports that are not named are free ones."""
        place = (
            [
                "--head",
                f"--port={self.port}",
                f"--ray-client-server-port={self.port + 1}",
                f"--temp-dir={self.folder}",
                "--include-dashboard=false",
            ]
            if self.rank == 0
            else [f"--address={self.head}"]
        )
        resources = [f"--num-cpus={self.cpus}", f"--num-gpus={self.gpus}"]
        workers = ["--min-worker-port=0", "--max-worker-port=0"]
        agent = [f"--dashboard-agent-listen-port={self.port + 2}", f"--node-ip-address={self.addresses[self.rank]}"]
        return [*_RAY, "start", "--block", "--disable-usage-stats", *place, *agent, *resources, *workers]


class Ray:
    """Ray on this node, for as long as it is needed."""

    def __init__(self, node: Node):
        self.node, self.deadline = node, time.monotonic() + PATIENCE
        if node.rank == 0 and _listens(node.head):
            raise CellError(f"{node.head} on {node.name} is taken by another program: submit the job again")
        if node.rank > 0:
            while not _listens(node.head) and not node.exit_file.exists():
                if time.monotonic() > self.deadline:
                    raise CellError(f"{node.name} cannot reach Ray's head at {node.head} for {PATIENCE} s")
                time.sleep(_POLL_SECONDS)
        with open(node.log, "ab") as log:
            self.process = subprocess.Popen(
                node.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent
            )

    def wait_for_all(self) -> None:
        """Raises:
        CellError: Ray ended, or not all nodes joined in time.
        """
        node, wanted = self.node, len(self.node.addresses)
        while not _listens(node.head):
            self._check()
        counting = subprocess.Popen(
            [sys.executable, "-c", _COUNT, node.head, str(wanted)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=die_with_parent,
        )
        try:
            while counting.poll() is None:
                self._check()
        except CellError as error:
            counting.kill()
            seen = (counting.communicate()[0].split() or ["0"])[-1]
            raise CellError(f"{error}: {seen} of {wanted} nodes joined") from error
        if counting.returncode:
            raise CellError(f"Ray on {node.name} does not answer: read {node.log}")

    def _check(self) -> None:
        if self.process.poll() is not None:
            raise CellError(f"Ray ended while it started on {self.node.name}: read {self.node.log}")
        if time.monotonic() > self.deadline:
            raise CellError(f"Ray was not ready within {PATIENCE} s: read {self.node.log} and those beside it")
        time.sleep(_POLL_SECONDS)

    def end(self) -> None:
        """Ends every process below this one, the driver's leftovers among them, and removes Ray's folder."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE)
        while left := psutil.Process().children(recursive=True):  # orphans come to us, see main
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(left, timeout=5)
        shutil.rmtree(self.node.folder, ignore_errors=True)


def run_driver(command: Sequence[str], ray: Ray) -> int:
    """Runs the driver beside Ray's head; returns its exit code, 75 when Ray ended under it."""
    environment = os.environ | {"RAY_ADDRESS": ray.node.head}
    folder = os.environ.get("KAWHI_RAY_DRIVER_FOLDER")
    try:
        driver = subprocess.Popen(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"error: the driver {command[0]} cannot be started: {error.strerror}", file=sys.stderr)
        return 127
    for number in FORWARDED:
        signal.signal(number, lambda got, frame: driver.send_signal(got))
    while driver.poll() is None:
        if ray.process.poll() is not None:
            print(f"error: Ray ended while the driver ran: read {ray.node.log}", file=sys.stderr)
            driver.kill()
            driver.wait()
            return TRY_AGAIN
        time.sleep(_POLL_SECONDS)
    return driver.returncode if driver.returncode >= 0 else 128 - driver.returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """The driver's exit code on the first node; 0 on the others unless they could not join."""
    driver = list(sys.argv[1:] if arguments is None else arguments)
    # A process whose parent is gone becomes ours, so that the end finds it.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for number in FORWARDED:
        signal.signal(number, _leave)
    ray, code = None, TRY_AGAIN
    try:
        node = Node.of(os.environ)
        ray = Ray(node)
        code = _work(node, ray, driver)
    except CellError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        code = 128 + signal.SIGTERM
    finally:
        for number in FORWARDED:
            signal.signal(number, signal.SIG_IGN)
        if os.environ.get("SLURM_NODEID") == "0" and "KAWHI_RAY_EXIT" in os.environ:
            write_atomically(Path(os.environ["KAWHI_RAY_EXIT"]), f"{code}\n")
        if ray is not None:
            ray.end()
    return code


def _work(node: Node, ray: Ray, driver: Sequence[str]) -> int:
    if node.rank == 0:
        ray.wait_for_all()
        print(f"Ray is up at {node.head} with {len(node.addresses)} nodes", flush=True)
        return run_driver(driver, ray)
    while ray.process.poll() is None and not node.exit_file.exists():
        time.sleep(_POLL_SECONDS)
    return 0


def _leave(number: int, frame: object) -> None:
    if number != signal.SIGUSR2 and number != signal.SIGUSR1:  # which are a driver's notice, and end nobody else
        raise KeyboardInterrupt


def _listens(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


if __name__ == "__main__":
    sys.exit(main())
