"""The fork server's own process: imports the heavy packages once, then forks a child for every request.

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
import json
import os
import random
import resource
import select
import shutil
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any, ClassVar

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


def preload(modules: list[str]) -> set[str]:
    """Imports the modules; returns the variables of the environment that were read meanwhile."""
    start, processor = time.time(), time.process_time()
    gc.disable()  # a quarter of the time, with nothing to collect
    ordinary = type(os.environ)
    os.environ.__class__ = _Noted  # type: ignore[assignment]
    for name in modules:
        try:
            importlib.import_module(name)
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


def descendants(pid: int) -> list[int]:
    """Process ids of all that a process has started, and they, from /proc."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found = list(children.get(pid, []))
    for each in found:
        found += children.get(each, [])
    return found


def kill_all(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


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
            kill_all([pid, *descendants(pid)])
            connection.close()
            del self.connections[pid]

    def _end(self) -> None:
        own = os.getpid()
        for _ in range(100):  # whoever forks while we look is found by the next look
            found = descendants(own)
            kill_all(found)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if not found:
                break
            time.sleep(0.02)
        shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(0)


def become(request: dict[str, Any]) -> None:
    """Makes this forked process the one that was asked for, up to the program that it runs."""
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for each in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError):  # the C library keeps two for itself
            ignored = each in request["ignored"] or each in (signal.SIGPIPE, signal.SIGXFSZ)  # Python's own
            signal.signal(each, signal.SIG_IGN if ignored else signal.SIG_DFL)
    if signal.SIGINT not in request["ignored"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
    for number, stream in enumerate(request["streams"]):
        os.dup2(stream, number)
    for stream in request["streams"]:
        os.close(stream)
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.sched_setaffinity(0, request["cores"])
    if request["nice"] > os.getpriority(os.PRIO_PROCESS, 0):
        os.setpriority(os.PRIO_PROCESS, 0, request["nice"])
    for kind, limits in request["limits"].items():
        if resource.getrlimit(int(kind)) != tuple(limits):
            resource.setrlimit(int(kind), limits)
    os.environ.clear()  # before the memory that the C library still reads is written over
    os.environ.update(request["environment"])
    _show_environment(libc, request["environment"])
    sys.executable = request["executable"]
    unbuffered = "-u" in request["options"] or bool(os.environ.get("PYTHONUNBUFFERED"))
    for output in (sys.stdout, sys.stderr):
        output.reconfigure(line_buffering=output is sys.stderr, write_through=unbuffered)  # type: ignore[union-attr]
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(None)
    random.seed()
    if "ray._raylet" in sys.modules:
        sys.modules["ray._raylet"].Config.initialize("")  # Ray keeps RAY_* as they were when it was imported


def _show_environment(libc: ctypes.CDLL, environment: dict[str, str]) -> None:
    """Writes the environment where /proc/PID/environ shows it: there the harness looks for a cell's processes."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    shown = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in environment.items())
    libc.memset(ctypes.c_void_p(start), 0, ctypes.c_size_t(end - start))
    ctypes.memmove(start, shown, min(len(shown), end - start - 1))


def run(words: list[str]) -> int:
    """Runs ``-m MODULE ...`` or ``SCRIPT ...`` as the interpreter does; returns the exit code."""
    import runpy

    module = words[0] == "-m"
    sys.argv = words[1:] if module else words
    if not sys.flags.safe_path:
        sys.path.insert(0, os.getcwd() if module else os.path.dirname(os.path.realpath(words[0])))
    try:
        if module:
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        print(error.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        return -int(signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def leave(code: int) -> None:
    """Ends the process as the interpreter does, without taking ten thousand modules apart."""
    import atexit
    import threading

    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for output in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                output.flush()
    finally:
        if code < 0:  # as a shell wants it of an interrupted program
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        os._exit(code)


def main(folder: str, listener: str, lifeline: str) -> None:
    if not sys.flags.safe_path:
        del sys.path[0]  # this script's folder
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # of an owner that ends meanwhile the imports would learn nothing
    imported = Imported((Path(folder) / "modules").read_text().split())
    prctl(_PR_SET_PDEATHSIG, 0)
    prctl(_PR_SET_CHILD_SUBREAPER, 1)  # an orphan stays a descendant, so that it can be found
    (Path(folder) / READY).touch()
    request = Server(Path(folder), socket.socket(fileno=int(listener)), int(lifeline)).serve(imported)
    code = 1
    try:
        become(request)
        code = run(request["words"])
    except BaseException:
        traceback.print_exc()
    finally:
        leave(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
