"""A fork server for the CPU world: heavy packages are imported once, and every process of a cell is forked from it.

A cell starts some twenty Python processes, which spend most of a short run importing the same nine thousand modules,
one after another.  With the server they start in a tenth of a second and share its memory.  Its owner, the launcher of
a sweep, a single cell, a cluster's job or a session of pytest, starts it with :func:`running`; it ends with its owner.

While it runs, ``sys.executable`` is a stand-in for the interpreter that starts a program through the server, in the
owner and in everything that was forked: stages, Ray's daemons and workers, vLLM.  No number depends on it.

``KAWHI_FORK_SERVER=0`` switches it off.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "KAWHI_FORK_SERVER"
"""The folder of the server to use, ``0`` for none, unset for one to be started."""

_RAY = {
    # Ray's agents take a parent that is not the raylet for a dead one; with this they watch a pipe from it.
    "RAY_enable_pipe_based_agent_to_parent_health_check": "1",
}
_IN_SERVER = {
    # Ray 2.60 looks at these two once in a process's life, when it is imported, to see whether it is a worker.
    "RAY_JOB_ID": "01000000",
    "RAY_RAYLET_PID": "1",
    # Room for the environment of a child, where /proc/PID/environ shows it.
    "KAWHI_FORK_SERVER_ROOM": "." * 65536,
}
_HERE = Path(__file__).parent
_PREFIX = "kawhi-fork-"
_GOODBYE = 10  # seconds


def environment() -> dict[str, str]:
    """What the processes of a run need in their environment where a stand-in starts them."""
    return _RAY if sys.executable == _stand_in(os.environ.get(VARIABLE, "")) else {}


def preloaded() -> list[str]:
    """The modules that a cell's processes import, but for those of this project."""
    return [line for line in (_HERE / "preload.txt").read_text().splitlines() if line and not line.startswith("#")]


def _stand_in(folder: str) -> str:
    return str(Path(folder) / "python")


def _answers(folder: str) -> bool:
    """Whether there is a server that runs the code of this checkout."""
    stand_in = Path(_stand_in(folder))
    if not folder.startswith("/") or not stand_in.is_file() or str(_HERE) not in stand_in.read_text():
        return False
    return _listens(Path(folder) / "socket")


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except OSError:  # of another machine, or of an owner that has ended
            return False
    return True


@contextmanager
def running(
    environment: Mapping[str, str], *, wanted: bool = True, modules: Sequence[str] | None = None
) -> Iterator[None]:
    """Within the block ``sys.executable`` starts programs through a fork server.

    The one that runs already, with this checkout's code, is used; else one is started, and ended with the block or with
    this process.  It imports in the background; who needs it before it is ready waits for it.

    Args:
        environment: of the processes that will be asked for, as far as libraries read it while they are imported;
            those with another one are started plainly, and say so.
        wanted: ``False`` where there is nothing to fork: then nothing happens.
        modules: what the server imports; by default what ``preload.txt`` names.
    """
    given = os.environ.get(VARIABLE, "")
    if not wanted or given == "0":
        yield
    elif _answers(given):
        with _stood_in(given):
            yield
    else:
        with _started({**environment, **_RAY}, modules or preloaded()) as folder, _stood_in(folder):
            yield


@contextmanager
def _stood_in(folder: str) -> Iterator[None]:
    if sys.executable == _stand_in(folder):  # a block within a block
        yield
        return
    before = sys.executable, os.environ.get(VARIABLE)
    sys.executable, os.environ[VARIABLE] = _stand_in(folder), folder
    try:
        yield
    finally:
        sys.executable = before[0]
        if before[1] is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before[1]


@contextmanager
def _started(environment: Mapping[str, str], modules: Sequence[str]) -> Iterator[str]:
    _remove_left_over()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_short_folder()))
    (folder / "modules").write_text("\n".join(modules))
    stand_in = Path(_stand_in(str(folder)))
    words = (sys.executable, "-IS", str(_HERE / "stand_in.py"), sys.executable)
    stand_in.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$0" "$@"\n')
    stand_in.chmod(0o700)
    ours, theirs = os.pipe()
    with open(folder / "log", "wb") as log, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen(128)  # from now on who asks waits until the server has imported everything
        handed_on = (listener.fileno(), ours)
        server = subprocess.Popen(
            [sys.executable, str(_HERE / "server.py"), str(folder), *map(str, handed_on)],
            env={**environment, **_IN_SERVER},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=handed_on,
            start_new_session=True,  # a signal to the owner's group is for the owner
        )
    os.close(ours)
    try:
        yield str(folder)
    finally:
        os.close(theirs)
        if not (folder / "ready").exists():  # it has forked nothing, and does not look up from its imports
            server.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_GOODBYE)
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _short_folder() -> str:
    """Where the server's folder goes: the name of a socket has at most 107 bytes."""
    return tempfile.gettempdir() if len(tempfile.gettempdir()) < 60 else "/tmp"


def _remove_left_over() -> None:
    """Removes the folders of servers that were killed together with their owners, a minute after they began."""
    for old in Path(_short_folder()).glob(f"{_PREFIX}*/socket"):
        with contextlib.suppress(OSError):  # another user's, or removed meanwhile
            if old.stat().st_mtime < time.time() - 60 and not _listens(old):
                shutil.rmtree(old.parent)
