"""What a forked process does: becomes the one that was asked for, runs its program, leaves as the interpreter does."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def live(request: dict[str, Any]) -> None:
    """Does not return."""
    code = 1
    try:
        become(request)
        code = run(request["words"])
    except BaseException:
        traceback.print_exc()
    finally:
        leave(code)


def become(request: dict[str, Any]) -> None:
    """Makes this process the one that was asked for, up to the program that it runs."""
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _take_signals(set(request["ignored"]), request["blocked"])
    _take_streams(request["streams"])
    os.chdir(request["folder"])
    os.umask(request["umask"])
    _take_limits(request)
    os.environ.clear()  # before the memory that the C library still reads is written over
    os.environ.update(request["environment"])
    _show_environment(libc, request["environment"])
    sys.executable = request["executable"]
    unbuffered = "-u" in request["options"] or bool(os.environ.get("PYTHONUNBUFFERED"))
    for output in (sys.stdout, sys.stderr):
        output.reconfigure(line_buffering=output is sys.stderr, write_through=unbuffered)  # type: ignore[union-attr]
    _tell_libraries()


def _take_signals(ignored: set[int], blocked: list[int]) -> None:
    for each in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError):  # the C library keeps two for itself
            python_ignores = each in (signal.SIGPIPE, signal.SIGXFSZ)
            signal.signal(each, signal.SIG_IGN if each in ignored or python_ignores else signal.SIG_DFL)
    if signal.SIGINT not in ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _take_streams(streams: list[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)


def _take_limits(request: dict[str, Any]) -> None:
    os.sched_setaffinity(0, request["cores"])
    if request["nice"] > os.getpriority(os.PRIO_PROCESS, 0):
        os.setpriority(os.PRIO_PROCESS, 0, request["nice"])
    for kind, limits in request["limits"].items():
        if resource.getrlimit(int(kind)) != tuple(limits):
            resource.setrlimit(int(kind), limits)


def _show_environment(libc: ctypes.CDLL, environment: dict[str, str]) -> None:
    """Writes the environment where /proc/PID/environ shows it: there the harness looks for a cell's processes."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    shown = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in environment.items())
    libc.memset(ctypes.c_void_p(start), 0, ctypes.c_size_t(end - start))
    ctypes.memmove(start, shown, min(len(shown), end - start - 1))


def _tell_libraries() -> None:
    """What was imported before the fork has a state of its own in every process."""
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(None)
    random.seed()
    if raylet := sys.modules.get("ray._raylet"):
        raylet.Config.initialize("")  # Ray keeps RAY_* as they were when it was imported
        sys.modules["ray.actor"].ActorClassID = raylet.ActorClassID  # type: ignore[attr-defined]


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
        return _exit_code(error)
    except BaseException as error:
        traceback.print_exc()
        return -int(signal.SIGINT) if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _exit_code(asked: SystemExit) -> int:
    if asked.code is None or isinstance(asked.code, int):
        return (asked.code or 0) & 0xFF
    print(asked.code, file=sys.stderr)
    return 1


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
