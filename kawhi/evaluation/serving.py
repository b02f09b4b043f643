"""``vllm serve`` for as long as it is needed: started on free GPUs, waited for, ended with all its processes."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from kawhi.base.devices import ask_driver
from kawhi.base.errors import CellError
from kawhi.base.processes import die_with_parent, remove_unused, shared_memory, tidies

COMMAND = (sys.executable, "-m", "kawhi.evaluation.vllm_server", "serve")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy between this machine and itself
_TELLING = re.compile(r"(\w*(Error|Exception|Killed)\b(?!\().*|\berror: .*)")  # no `raise Error(` of a traceback
_HOLLOW = ("See root cause above", "Engine core initialization failed")
_SPARE = 0.1  # share of a GPU's memory below which it counts as free: a desktop's or a driver's own


@dataclass(frozen=True)
class Server:
    """A server that was started, and what is known of it."""

    process: subprocess.Popen
    name: str
    port: int
    log: Path
    log_begins: int
    limit: float
    limit_key: str

    def ready(self) -> str:
        """Waits until it answers; returns its base URL.

        Raises:
            CellError: it ends or hangs while it starts.
        """
        _wait(self, f"http://127.0.0.1:{self.port}")
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def served(model: str, **how: Any) -> Iterator[str]:
    """Yields the base URL of a server that is ready, and ends it; arguments and errors as of :func:`started`."""
    with started(model, **how) as server:
        yield server.ready()


@contextmanager
def started(
    model: str,
    *,
    name: str,
    port: int | None,
    options: Sequence[str],
    log: Path,
    limit: float,
    limit_key: str,
    environment: Mapping[str, str] | None,
    host: str = "127.0.0.1",
) -> Iterator[Server]:
    """Starts a server, and ends it; several can so load their weights side by side.

    Args:
        model: a folder or an id of the hub.
        name: what requests call the model.
        port: ``None`` for a free one.
        options: further arguments of ``vllm serve``.
        log: its output is appended here.
        limit: seconds until it must be ready.
        limit_key: what sets it.
        environment: variables beside those of this process.
        host: the address it listens on; ``0.0.0.0`` also answers other machines.

    Raises:
        CellError: vLLM is not installed, or the port is taken.
    """
    if find_spec("vllm") is None:
        raise CellError("vLLM is not installed here: install it, or name a running server (judge.base_url)")
    port = port or free_ports(1)[0]
    if _listens(port):
        raise CellError(f"port {port} is taken: name another one, or none to have a free one chosen")
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as output:
        start = output.tell()
        process = subprocess.Popen(
            [*COMMAND, model, "--served-model-name", name, "--host", host, "--port", str(port), *options],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        yield Server(process, name, port, log, start, limit, limit_key)
    finally:
        _end(process)


def gpus_free() -> list[str]:
    """The GPUs that this process may use and nothing else does, as ``CUDA_VISIBLE_DEVICES`` names them.

    Raises:
        CellError: the driver does not answer.
    """
    return free_among(ask_driver("index,uuid,memory.used,memory.total"), os.environ.get("CUDA_VISIBLE_DEVICES"))


def free_among(listed: str, visible: str | None) -> list[str]:
    """``gpus_free`` from nvidia-smi's lines (index, uuid, MiB used, MiB there) and ``CUDA_VISIBLE_DEVICES``."""
    rows = csv.reader(listed.strip().splitlines(), skipinitialspace=True)
    unused = [(index, uuid) for index, uuid, used, total in rows if float(used) < _SPARE * float(total)]
    if visible is None:
        return [index for index, _ in unused]
    allowed = [each.strip() for each in visible.split(",") if each.strip()]
    return [name for index, uuid in unused if (name := _name_of(index, uuid, allowed))]


def _name_of(index: str, uuid: str, allowed: Sequence[str]) -> str:
    """What ``CUDA_VISIBLE_DEVICES`` calls a GPU, by its number or the beginning of its UUID; empty where it is none."""
    return next((name for name in allowed if name == index or uuid.startswith(name)), "")


def tensor_parallel_options(size: int) -> list[str]:
    """Arguments of ``vllm serve`` for one replica on so many GPUs."""
    return ["--tensor-parallel-size", str(size)]


def require_gpus(devices: int, tensor_parallel: int) -> None:
    """Raises:
    CellError: there are fewer than one replica needs.
    """
    if devices < tensor_parallel:
        raise CellError(
            f"the server needs {tensor_parallel} free GPU(s) and {devices} are: free some, or name a running server "
            "(judge.base_url)"
        )


def parallel_options(devices: int, tensor_parallel: int) -> list[str]:
    """Arguments of ``vllm serve`` for one replica on each ``tensor_parallel`` of the GPUs that are free.

    Raises:
        CellError: there are fewer than one replica needs.
    """
    require_gpus(devices, tensor_parallel)
    options, replicas = tensor_parallel_options(tensor_parallel), devices // tensor_parallel
    return options if replicas == 1 else [*options, "--data-parallel-size", str(replicas)]


def _wait(server: Server, address: str) -> None:
    process, name, log, limit = server.process, server.name, server.log, server.limit
    began = told = time.monotonic()
    while process.poll() is None:
        if get(f"{address}/health") is not None:
            models = json.loads(get(f"{address}/v1/models") or '{"data": []}')["data"]
            if name in [model["id"] for model in models]:
                return
        now = time.monotonic()
        if now - began > limit:
            raise CellError(
                f"the server of {name} was not ready after {limit:g} s: read {log}, or raise {server.limit_key}"
            )
        if now - told >= 10:
            print(f"the server of {name} has been starting for {now - began:.0f} s ({log})", flush=True)
            told = now
        time.sleep(0.2)
    line = telling_line(log.read_bytes()[server.log_begins :].decode(errors="replace"))
    raise CellError(f"the server of {name} ended while it started (exit code {process.returncode}): {line}; see {log}")


def telling_line(text: str) -> str:
    """The last line of a log that names an error, without what a logger puts before it; else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [
        match[0] for line in lines if (match := _TELLING.search(line)) and not any(word in line for word in _HOLLOW)
    ]
    line = (found or lines or ["it wrote nothing"])[-1]
    return line if len(line) <= 300 else f"{line[:300]}..."


def _end(process: subprocess.Popen) -> None:
    """Ends the server and everything it started: its descendants, and the orphans of its session.

    Nothing of its shared memory, hundreds of MB, stays in /dev/shm.
    """
    family: set[psutil.Process] = set()
    with contextlib.suppress(psutil.NoSuchProcess):
        leader = psutil.Process(process.pid)
        family.update([leader, *leader.children(recursive=True)])
    held = shared_memory(family)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    for last in (False, False, True):  # a process can fork between the look and the kill
        left = [each for each in family.union(psutil.process_iter()) if _ours(each, family, process.pid)]
        for each in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                if last or not tidies(each):
                    each.kill()
        if not left:
            break
        psutil.wait_procs(left, timeout=5)
    process.wait()
    remove_unused(held)


def _ours(process: psutil.Process, family: set[psutil.Process], leader: int) -> bool:
    with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
        mine = process in family or os.getsid(process.pid) == leader
        return mine and process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def get(url: str, timeout: float = 5) -> bytes | None:
    """What a server of this machine answers; ``None`` where it does not, or with an error."""
    try:
        with _DIRECT.open(url, timeout=timeout) as reply:
            return reply.read()
    except (urllib.error.URLError, OSError):
        return None


def free_ports(number: int) -> list[int]:
    """Different ones that nobody listens on."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
