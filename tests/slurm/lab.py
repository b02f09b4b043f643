"""A real Slurm for tests: two nodes, a controller, accounting; loopback only, in a temporary folder, without systemd.

The daemons are children of this process.  They are told to die with it (``setpriv --pdeathsig``), so a test run that is
killed leaves no Slurm behind.  Nothing under /etc is touched, except that a host name which does not resolve gets a
line in /etc/hosts.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.cells import ROOT
from tests.slurm import settings

PACKAGES = ("slurmctld", "slurmd", "slurmdbd", "slurm-client", "munge", "mariadb-server", "rsync")
_PROGRAMS = ("slurmctld", "slurmd", "slurmdbd", "sbatch", "munged", "mariadbd", "rsync")
NODES = ("node1", "node2")
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def missing() -> str | None:
    """Why no lab can be started here, or ``None``."""
    absent = [program for program in _PROGRAMS if not shutil.which(program, path=_PATH)]
    if absent:
        return f"{', '.join(absent)} not found: apt-get install {' '.join(PACKAGES)}"
    if os.geteuid():
        return "a Slurm for tests needs root: its made-up GPUs are device nodes"
    return None


class Lab:
    """A running Slurm.

    Attributes:
        environment: for subprocesses that talk to it.
        folder: configuration, logs, state.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH", "SRUN", "SALLOC"))}
        self.environment = clean | {"PATH": _PATH, "SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: dict[str, subprocess.Popen] = {}

    # What tests ask.

    def run(self, *command: str, check: bool = True, timeout: float = 60, **options) -> subprocess.CompletedProcess:
        """A command that talks to this Slurm; with ``check`` a failure says what it printed."""
        options = {"env": self.environment, "capture_output": True, "text": True} | options
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(command, timeout=timeout, **options)
        assert not check or done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def squeue(self, *arguments: str) -> list[str]:
        """One line per queued or running task: job, state, reason, node, times restarted are Slurm's own words."""
        form = "%i %T %r %N"
        return self.run("squeue", "--noheader", "--array", "--format", form, *arguments).stdout.splitlines()

    def sacct(self, job: str) -> dict[str, tuple[str, str]]:
        """State and exit code (``7:0``) of a job by its number, of an array by ``12_0``, ``12_1``; steps left out."""
        form = "JobID,State,ExitCode"
        text = self.run("sacct", "--noheader", "--allocations", "--parsable2", "--jobs", job, "--format", form).stdout
        rows = (line.split("|") for line in text.splitlines())
        return {name: (state, code) for name, state, code in rows}

    def wait(self, condition: Callable[[], object], seconds: float = 1200) -> object:
        """What the condition returned when it first held; a failure tells the queue and the logs."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, f"not within {seconds} s; queue: {self.squeue()}\n{self.logs()}"
            time.sleep(0.2)
        return value

    def submit(self, *arguments: str, **options) -> str:
        """The number of the job that sbatch makes of the arguments."""
        return self.run("sbatch", "--parsable", *arguments, **options).stdout.strip()

    def launch(self, folder: Path, *words: str, **options) -> subprocess.Popen:
        """``python experiments/run.py -m ... hydra/launcher=slurm`` as typed in a folder."""
        command = [sys.executable, str(ROOT / "experiments" / "run.py"), "-m", "hydra/launcher=slurm", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL, "text": True}
        return subprocess.Popen(command, cwd=folder, env=self.environment, **pipes, **options)

    def kill_node(self, node: str) -> None:
        """As when a machine loses its power: its slurmd and every process of its jobs at once, by SIGKILL."""
        daemon = self._daemons.pop(f"slurmd-{node}")
        starting = psutil.Process(daemon.pid).children(recursive=True)
        daemon.kill()
        daemon.wait()
        found = [*starting, *self._processes(node)]
        while found:
            # What watches over a job goes first, or it would tell the controller how the job ended.
            self._kill(sorted(found, key=lambda process: not _watches(process)))
            found = self._processes(node)  # again, for what was just being started

    def start_node(self, node: str) -> None:
        """The node again, and Slurm's knowledge that it is there."""
        if f"slurmd-{node}" in self._daemons:
            return
        self._daemon(f"slurmd-{node}", "slurmd", "-D", "-N", node)
        self.wait(lambda: self._node_state(node) in ("idle", "mixed", "allocated"))

    def clear(self) -> None:
        """No job and both nodes, as at the beginning."""
        self.run("scancel", "--user", "root", check=False)
        for node in NODES:
            self.start_node(node)
        self.wait(lambda: not self.squeue() and all(self._node_state(node) == "idle" for node in NODES))

    def logs(self, lines: int = 25) -> str:
        """The end of every daemon's log, for messages of failures."""
        parts = []
        for path in sorted((self.folder / "log").glob("*.log")):
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            parts.append("\n".join([f"--- {path.name}", *tail]))
        return "\n".join(parts)

    # Start and end.

    def start(self) -> None:
        """Everything, in the order that each needs; returns when both nodes are idle."""
        address = _own_address()
        ports = _free_ports(address, 4)
        settings.write(self.folder, address, ports, NODES)
        self._daemon("munged", *settings.munged(self.folder))
        self.run(*settings.database_install(self.folder), input=settings.database_tables())
        self._daemon("mariadbd", *settings.database(self.folder))
        client = settings.database_client(self.folder)
        self._until(lambda: self.run(*client, "-e", "create database if not exists slurm", check=False).returncode == 0)
        self._until(lambda: self.run("munge", "-n", "-S", str(self.folder / "munge.sock"), check=False).returncode == 0)
        self._daemon("slurmdbd", "slurmdbd", "-D", MYSQL_UNIX_PORT=str(self.folder / "db.sock"))
        self._until(
            lambda: self.run("sacctmgr", "-i", "add", "cluster", "lab", check=False, timeout=10).returncode == 0
        )
        self._daemon("slurmctld", "slurmctld", "-D")
        self._until(lambda: "UP" in self.run("scontrol", "ping", check=False).stdout)
        for node in NODES:
            self._daemon(f"slurmd-{node}", "slurmd", "-D", "-N", node)
        self._until(lambda: all(self._node_state(node) == "idle" for node in NODES))

    def stop(self) -> None:
        """The daemons of this lab and every process of its jobs; nothing else on the machine."""
        if {"slurmctld", "slurmd-node1"} <= set(self._daemons):
            with suppress(subprocess.TimeoutExpired):
                self.run("scancel", "--user", "root", check=False, timeout=10)
        for name in reversed(list(self._daemons)):
            _end(self._daemons.pop(name))
        while found := self._processes():
            self._kill(found)

    def _daemon(self, name: str, *command: str, **environment: str) -> None:
        self._daemons[name] = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log(name),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _log(self, name: str):
        return (self.folder / "log" / f"{name}.log").open("a")

    def _until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Until the condition holds; fails as soon as a daemon has ended."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = [name for name, process in self._daemons.items() if process.poll() is not None]
            assert not ended, f"{ended} ended while Slurm was started\n{self.logs()}"
            assert time.monotonic() < deadline, f"Slurm did not start within {seconds} s\n{self.logs()}"
            time.sleep(0.05)

    def _kill(self, processes: list[psutil.Process]) -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=10)

    def _node_state(self, node: str) -> str:
        done = self.run("sinfo", "--noheader", "--nodes", node, "--partition", "main", "--format", "%T", check=False)
        return done.stdout.strip()

    def _processes(self, node: str | None = None) -> list[psutil.Process]:
        """The processes of this lab's jobs, on one node or on all, with Slurm's own around them."""
        everything = {process.pid: process for process in psutil.process_iter()}
        own, parents = set(), {}
        for pid, process in everything.items():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                parents[pid] = process.ppid()
                if self._belongs(process, node):
                    own.add(pid)
        # Some programs (Ray's workers) write their title over their environment: they are known by their parents.
        while more := {pid for pid, parent in parents.items() if parent in own} - own:
            own |= more
        return [everything[pid] for pid in own]

    def _belongs(self, process: psutil.Process, node: str | None) -> bool:
        if process.name().startswith("slurmstepd"):  # has no environment to look at, but a socket in the node's folder
            spool = str(self.folder / f"spool-{node or ''}")
            return any(str(socket.laddr).startswith(spool) for socket in process.net_connections("unix"))
        environ = process.environ()
        here = environ.get("SLURMD_NODENAME")
        return environ.get("SLURM_CONF") == self.environment["SLURM_CONF"] and here is not None and node in (None, here)


@contextmanager
def started() -> Iterator[Lab]:
    """A lab that is stopped and removed at the end, also when it does not get up."""
    # Not pytest's own folder: sockets have a path limit of 108 characters.
    folder = Path(tempfile.mkdtemp(prefix="kawhi-slurm-"))
    lab = Lab(folder)
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _watches(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.name().startswith("slurmstepd")
    return False


def _end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _own_address() -> str:
    """The address that this host's name stands for; the daemons look it up and listen on it alone."""
    name = socket.gethostname()
    try:
        return socket.gethostbyname(name)
    except OSError:
        with Path("/etc/hosts").open("a") as file:
            file.write(f"127.0.0.1 {name}\n")
        return "127.0.0.1"


def _free_ports(address: str, count: int) -> list[int]:
    """Below the range from which the kernel gives ports to clients, so that none is taken in between."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randint(20000, 30000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((address, port))
            if port not in found:
                found.append(port)
    return found
