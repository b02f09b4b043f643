"""The fork server's own process: imports the heavy packages once, then forks a child (``forked.py``) for every request.

    python server.py FOLDER LISTENER LIFELINE        (started by kawhi.fork_server, never by hand)

It imports what FOLDER/modules names, and then answers the socket LISTENER; who asks sooner waits.  A request
comes from a stand-in (``stand_in.py``) with its argument vector, environment and three standard streams.  The answer is
a line of JSON, ``{"pid": ...}`` or ``{"plainly": why}``, and ``{"code": ...}`` when the child has ended.  Bytes that
the stand-in sends are signals for the child; when its end closes, the child is killed with all that it has started.

When the file descriptor LIFELINE closes, the owner is gone, however it ended: all that was forked here is killed.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import gc
import importlib
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import psutil

READY = "ready"
"""The file in FOLDER that says that all is imported."""

_PATIENCE = 10  # seconds; a stand-in sends its request as soon as it is connected
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

# Read by C code while it is imported, which nobody can watch.
READ_IN_C = ("OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "LD_", "PYTHON", "MALLOC_", "GLIBC_", "LANG", "LC_")
# Ray sets these for its own processes; the child has Ray read them again.
READ_AGAIN = ("RAY_",)
# Of the terminal, of the shell, or set anew in each child.
WITHOUT_EFFECT = {"PYTHONUNBUFFERED", "COLUMNS", "LINES", "TERM", "PWD", "OLDPWD", "SHLVL", "_"}


class _Noted(os._Environ):
    """An environment that notes which variables are read, but for copies of the whole."""

    names: ClassVar[set[str]] = set()
    listed: ClassVar[set[str]] = set()

    def __iter__(self):
        for key in super().__iter__():
            self.listed.add(key)
            yield key

    def __getitem__(self, key: str) -> str:
        if key in self.listed:
            self.listed.discard(key)
        elif isinstance(key, str):  # os.get_exec_path also tries bytes
            self.names.add(key)
        return super().__getitem__(key)


def spare_random_ids(actor: Any) -> None:
    """Has ``ray.actor`` draw the ids of the actors that are declared from now on from the operating system.

    Ray's own generator is seeded when it is first used, and children forked after that all draw the same ids from it:
    two workers that store an object under one id take Ray down with them.
    """
    of_ray = actor.ActorClassID
    drawn = staticmethod(lambda: of_ray(os.urandom(of_ray.size())))
    actor.ActorClassID = type("ActorClassID", (), {"from_random": drawn})


def preload(modules: list[str]) -> set[str]:
    """Imports the modules; returns the variables of the environment that were read meanwhile."""
    start, processor = time.time(), time.process_time()
    gc.disable()  # a quarter of the time, with nothing to collect
    ordinary = type(os.environ)
    os.environ.__class__ = _Noted  # type: ignore[assignment]
    for name in modules:
        try:
            module = importlib.import_module(name)
            if name == "ray.actor":
                spare_random_ids(module)
        except Exception as error:  # whoever needs it will say so
            print(f"not preloaded: {name}: {type(error).__name__}: {error}", flush=True)
    os.environ.__class__ = ordinary  # type: ignore[assignment]
    gc.enable()
    gc.collect()
    gc.freeze()  # a child that collects garbage would copy every page of it
    seconds, used = time.time() - start, time.process_time() - processor
    print(f"{len(sys.modules)} modules in {seconds:.1f} s, {used:.1f} s of processor time", flush=True)
    return _Noted.names


def told(name: str, value: str | None) -> str | list[str] | None:
    """What a variable says: OpenCV puts its folder before all others each time that it is imported."""
    if name != "LD_LIBRARY_PATH":
        return value
    return list(dict.fromkeys(filter(None, (value or "").split(":"))))


class Imported:
    """What the environment was when the modules were imported, and what they made of it."""

    def __init__(self, modules: list[str]):
        self.before = dict(os.environ)
        read = preload(modules)
        self.after = dict(os.environ)
        self._read = {name for name in read if not name.startswith(READ_AGAIN)}

    def refusal(self, environment: dict[str, str]) -> str | None:
        """Why a child with this environment must import for itself; ``None`` where it would import the same."""
        in_c = {name for name in (*self.before, *environment) if name.startswith(READ_IN_C)}
        for name in sorted((self._read | in_c) - WITHOUT_EFFECT):
            # A process whose parent has imported the same modules has what they have set.
            own = (told(name, self.before.get(name)), told(name, self.after.get(name)))
            if told(name, environment.get(name)) not in own:
                return f"{name} differs from the fork server's"
        return None

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """A child's environment after its imports: what is given, and what the modules have set."""
        changed = {name for name in self.after if self.after[name] != self.before.get(name)}
        return given | {name: self.after[name] for name in changed if given.get(name) == self.before.get(name)}


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """A stand-in's request and its standard streams; ``None`` when it left before it had asked."""
    data, streams = b"", array.array("i")
    connection.settimeout(_PATIENCE)
    while not data.endswith(b"\n"):
        try:
            more, ancillary, _, _ = connection.recvmsg(1 << 20, socket.CMSG_LEN(3 * streams.itemsize))
        except OSError:
            more = b""
        if not more:
            return None
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                streams.frombytes(payload[: len(payload) - len(payload) % streams.itemsize])
        data += more
    return json.loads(data), list(streams)


def kill_below(pid: int) -> int:
    """Kills all that a process has started, and they; returns how many there were."""
    found: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        found = psutil.Process(pid).children(recursive=True)
    for each in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    return len(found)


class Server:
    """Forks children until its owner is gone."""

    def __init__(self, folder: Path, listener: socket.socket, lifeline: int):
        self.folder, self.listener, self.lifeline = folder, listener, lifeline
        self.connections: dict[int, socket.socket] = {}  # by the child's process id
        self.wake, wake = os.pipe()
        for end in (self.wake, wake):
            os.set_blocking(end, False)
        self._wake = wake
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def serve(self, imported: Imported) -> dict[str, Any]:
        """Returns, in a forked child alone, what the child is to run."""
        while True:
            watched: list[Any] = [self.listener, self.wake, self.lifeline, *self.connections.values()]
            ready, _, _ = select.select(watched, [], [])
            for item in ready:
                if item is self.listener:
                    connection, _ = self.listener.accept()
                    if request := self._answer(connection, imported):
                        return request
                elif item == self.wake:
                    self._reap()
                elif item == self.lifeline:
                    self._end()
                else:
                    self._hear(item)

    def _answer(self, connection: socket.socket, imported: Imported) -> dict[str, Any] | None:
        asked = receive(connection)
        if asked is None:
            connection.close()
            return None
        request, streams = asked
        why = imported.refusal(request["environment"])
        pid = None if why else os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for own in (self.listener, connection, *self.connections.values()):
                own.close()
            for number in (self.wake, self._wake, self.lifeline):
                os.close(number)
            return {**request, "streams": streams, "environment": imported.environment(request["environment"])}
        for stream in streams:
            os.close(stream)
        self._tell(connection, {"plainly": why} if why else {"pid": pid})
        if pid is None:
            connection.close()
        else:
            self.connections[pid] = connection
        return None

    @staticmethod
    def _tell(connection: socket.socket, answer: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # a stand-in that was killed is heard of next
            connection.sendall(json.dumps(answer).encode() + b"\n")

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if connection := self.connections.pop(pid, None):  # else an orphan that came to us
                self._tell(connection, {"code": os.waitstatus_to_exitcode(status)})
                connection.close()

    def _hear(self, connection: socket.socket) -> None:
        pid = next((pid for pid, each in self.connections.items() if each is connection), None)
        if pid is None:  # reaped a moment ago
            return
        try:
            said = connection.recv(4096)
        except OSError:
            said = b""
        for number in said:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if not said:
            kill_below(pid)
            os.kill(pid, signal.SIGKILL)
            connection.close()
            del self.connections[pid]

    def _end(self) -> None:
        for _ in range(100):  # whoever forks while we look is found by the next look
            found = kill_below(os.getpid())
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if not found:
                break
            time.sleep(0.02)
        shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(0)


def beside(name: str) -> Any:
    """A module of this folder.  This file is run by its path, and no program may find our modules under their names."""
    spec: Any = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(folder: str, listener: str, lifeline: str) -> None:
    if not sys.flags.safe_path:
        del sys.path[0]  # this script's folder
    forked = beside("forked")
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # of an owner that ends meanwhile the imports would learn nothing
    imported = Imported((Path(folder) / "modules").read_text().split())
    prctl(_PR_SET_PDEATHSIG, 0)
    prctl(_PR_SET_CHILD_SUBREAPER, 1)  # an orphan stays a descendant, so that it can be found
    (Path(folder) / READY).touch()
    request = Server(Path(folder), socket.socket(fileno=int(listener)), int(lifeline)).serve(imported)
    forked.live(request)


if __name__ == "__main__":
    main(*sys.argv[1:])
