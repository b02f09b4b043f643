"""Programs that draw a figure, run where they can do no harm.

``child/launch.py`` says what each limit is enforced by.  The program and the code that reads its figure share one
process, so a program can lie about its figure; it cannot reach anything else.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kawhi.base.errors import CellError
from kawhi.evaluation.chartmimic import drawn as record
from kawhi.evaluation.chartmimic import limits
from kawhi.evaluation.chartmimic.child.launch import (
    CPU_TIME,
    CRASHED,
    KILLED,
    OUT_OF_MEMORY,
    SETUP_FAILED,
    TOO_MANY,
    WORK,
)

_CHILD = Path(__file__).parent / "child"
_INSIDE = "/recorder"
_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts")
_ENDS = {OUT_OF_MEMORY: "memory", CPU_TIME: "CPU time", KILLED: "killed", CRASHED: "crash", TOO_MANY: "processes"}
_PERHAPS_OURS = ("killed", "wall time")
"""Ends that a busy machine can cause, too; a program that comes to one twice has itself to blame."""
_PACKAGES = ("seaborn", "squarify", "matplotlib_venn", "networkx", "pandas", "scipy", "sklearn")
# A program takes one core; more of them at once would turn waiting into exceeded wall time.
_turns = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))


class Unavailable(RuntimeError):
    """The sandbox itself failed, whatever the program."""


@dataclass(frozen=True)
class Drawing:
    """What a program came to.

    Attributes:
        figure: what it drew; ``None`` where it failed.
        error: why it failed; empty where it did not.
        fonts: matplotlib's font list, where none was given.
    """

    figure: record.Figure | None
    error: str
    fonts: Mapping[str, str] = field(default_factory=dict)


def require() -> None:
    """To be called before the first sample.

    Raises:
        CellError: programs cannot be run safely here, or a package that the benchmark's own programs import is missing.
    """
    if reason := available():
        raise CellError(f"ChartMimic's programs need a sandbox, which this machine does not allow: {reason}")
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        names = ", ".join(missing)
        raise CellError(f"ChartMimic's reference programs import {names}; install these packages into this environment")


@functools.cache
def available() -> str:
    """Empty where programs can be run safely, otherwise the reason why not."""
    try:
        _fonts()
    except Unavailable as error:
        return str(error)
    return ""


@functools.lru_cache(maxsize=4096)  # more than the references and responses of its 1,800 problems
def draw(code: str) -> Drawing:
    """Runs a program; one that failed is a result too.

    Raises:
        Unavailable: the sandbox failed.
    """
    drawing = run(code, _fonts())
    if drawing.error in _PERHAPS_OURS:
        drawing = run(code, _fonts())
    return drawing


@functools.cache
def _fonts() -> Mapping[str, str]:
    """Matplotlib's font list as the sandbox sees it, made once: it takes as long as a figure."""
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title('A')"
    drawing = run(code, {})
    if drawing.figure is None or not drawing.fonts:
        raise Unavailable(f"a two-line program failed in it ({drawing.error or 'no font list'})")
    return drawing.fonts


def run(code: str, fonts: Mapping[str, str], wall_seconds: float = limits.WALL_SECONDS) -> Drawing:
    """Like :func:`draw`, without remembering.

    Raises:
        Unavailable: the sandbox failed.
    """
    if len(code.encode("utf-8", "replace")) > limits.CODE_BYTES:
        return Drawing(None, "too long")
    request = {"code": code, "fonts": dict(fonts), "paths": _package_paths(), "pixels": limits.PIXELS}
    with _turns:
        output, end = _execute(json.dumps(request).encode() + b"\n", wall_seconds)
    if end:
        return Drawing(None, end)
    try:
        return Drawing(*record.parse(output))
    except ValueError as problem:
        return Drawing(None, f"unreadable record: {problem}")


def _execute(request: bytes, wall_seconds: float) -> tuple[bytes, str]:
    """The output, and the limit that ended the program, empty if none did."""
    environment = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    with (
        tempfile.TemporaryDirectory(prefix="sandbox-", ignore_cleanup_errors=True) as root,
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as said,
    ):
        given.write(request)
        given.seek(0)
        command = [_python(), "-I", "-S", str(_CHILD / "launch.py"), json.dumps(_config(root, environment))]
        try:
            process = subprocess.Popen(
                command,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=said,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"no process can be started ({error})") from error
        try:
            output, end = _read(process, wall_seconds)
        finally:
            _stop(process)
        if end:
            return b"", end
        if process.returncode == 0:
            return output, ""
        if process.returncode in _ENDS:
            return b"", _ENDS[process.returncode]
        said.seek(0)
        words = said.read(4000).decode(errors="replace").strip().splitlines()
        reason = words[-1] if words else f"its launcher ended with {process.returncode}"
        if process.returncode != SETUP_FAILED:
            reason = f"its launcher ended with {process.returncode}: {reason}"
        raise Unavailable(reason)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """When it returns, nothing that the program started is left."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        # The launcher's death ends the namespace's first process, and that one's all others.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _read(process: subprocess.Popen[bytes], wall_seconds: float) -> tuple[bytes, str]:
    assert process.stdout is not None
    deadline = time.monotonic() + wall_seconds
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    pieces: list[bytes] = []
    size = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return b"", "wall time"
        piece = os.read(process.stdout.fileno(), 1 << 16)
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if size > limits.OUTPUT_BYTES:
            return b"", "output"
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=max(0.1, deadline - time.monotonic()))
        return b"".join(pieces), ""
    return b"", "wall time"


def _config(root: str, environment: Mapping[str, str]) -> dict[str, Any]:
    one_thread = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS")
    return {
        "root": root,
        "readonly": _readonly(tuple(environment.get("LD_LIBRARY_PATH", "").split(":"))),
        "command": [_python(), "-I", "-S", "-B", f"{_INSIDE}/draw.py"],
        "environment": {
            **environment,
            **dict.fromkeys(one_thread, "1"),
            "HOME": WORK,
            "TMPDIR": WORK,
            "MPLCONFIGDIR": f"{WORK}/matplotlib",
            "MPLBACKEND": "agg",
            "LANG": "C.UTF-8",
        },
        "address_space": limits.ADDRESS_SPACE,
        "memory": limits.MEMORY,
        "cpu_seconds": limits.CPU_SECONDS,
        "file_bytes": limits.FILE_BYTES,
        "folder_bytes": limits.FOLDER_BYTES,
        "folder_files": limits.FOLDER_FILES,
        "open_files": limits.OPEN_FILES,
        "processes": limits.PROCESSES,
    }


def _python() -> str:
    """The interpreter itself: a virtual environment's is a link to it, a fork server's a stand-in."""
    return os.path.realpath("/proc/self/exe")


@functools.cache
def _package_paths() -> list[str]:
    """Folders of installed packages, as this process has them."""
    names = ("site-packages", "dist-packages")
    return [path for path in sys.path if os.path.basename(path.rstrip("/")) in names and os.path.isdir(path)]


@functools.cache
def _readonly(libraries: tuple[str, ...]) -> list[tuple[str, str]]:
    """What is there inside, as (path outside, path inside)."""
    # Not whole prefixes: one may be a folder of a home with more in it than Python.
    prefixes = {sys.base_prefix, os.path.dirname(os.path.dirname(_python()))} - {"/usr"}
    wanted = [os.path.join(prefix, part) for prefix in prefixes for part in ("bin", "lib", "lib64")]
    wanted += [*_SYSTEM, *_package_paths(), *filter(None, libraries)]
    wanted += map(os.path.realpath, wanted.copy())
    there = {os.path.normpath(path) for path in wanted if os.path.exists(path)} - {"/"}
    outermost = [path for path in sorted(there) if not any(path.startswith(other + "/") for other in there)]
    return [*((path, path) for path in outermost), (str(_CHILD), _INSIDE)]
