"""A stage of a cell: a child process with a time limit, and how it ended."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.processes import Ended, last_error, run
from kawhi.base.rundir import RunDirectory
from kawhi.runs.verl_command import environment

TRY_AGAIN = 75
"""Exit code of a failure of the infrastructure: the same command may succeed later."""

_PORT_TAKEN = re.compile(r"Error\b.*(EADDRINUSE|\[Errno 98\])")
"""What torch, Ray and vLLM say when a port that was free a moment ago belongs to somebody else."""


_MEMORY = re.compile(r"[1-9]\d* workers?\b.* killed due to (the node running low on memory|memory pressure)", re.I)
"""What Ray says, in the error of who waits for a worker and later in its own name, when it has ended one.

What follows is any failure: a rank that is missing, a weight sync that hangs, a server without its engine.
"""
_KILLED = re.compile(r"worker unexpectedly exits with a connection error code \d", re.I)
_MISSED = re.compile(r"ActorDiedError: |Connection (closed|reset) by peer")
_CRASHED = re.compile(r"SIG(SEGV|BUS|ILL|FPE|ABRT) received|Segmentation fault")
"""What Ray says of a worker that was killed from outside, what those say that waited for it, and what a worker itself
says that crashed.  When Ray ends workers after a failure, the first is said as well, and nobody misses them.
"""


class StageFailed(CellError):
    """A stage did not finish.  ``code`` is the exit code that the harness passes on."""

    def __init__(self, message: str, code: int = 1):
        super().__init__(message)
        self.code = code


class Stopped(StageFailed):
    """A stage was asked to stop; nothing is wrong."""

    def __init__(self, where: str):
        super().__init__(f"asked to stop {where}; the same command goes on", TRY_AGAIN)


@dataclass
class Status:
    """What ``status.json`` says about a cell; written on every change, read by views."""

    run: RunDirectory
    steps: int

    def set(self, stage: str, **more: Any) -> None:
        write_json(self.run.status, {"stage": stage, "steps": self.steps, "time": time.time(), **more})

    @contextlib.contextmanager
    def until(self, end: str) -> Iterator[Status]:
        """Says how the work ended: ``end``, ``failed`` or ``stopped``, with the reason."""
        try:
            yield self
        except CellError as error:
            self.set("stopped" if isinstance(error, Stopped) else "failed", reason=str(error))
            raise
        except KeyboardInterrupt:
            self.set("stopped", reason="interrupted")
            raise
        self.set(end)


def run_module(
    cell: DictConfig, run_directory: RunDirectory, *, stage: str, module: str, words: Sequence[str] = ()
) -> Ended:
    """Runs ``python -m MODULE RUN_DIRECTORY WORDS ...`` to its end.

    Raises:
        Stopped: as it was asked to.
        StageFailed: it failed, or took longer than its limit.
    """
    log = run_directory.log(stage)
    log.unlink(missing_ok=True)
    limit = cell.scale.limits[stage]
    ended = run(
        [sys.executable, "-m", module, str(run_directory.path), *words],
        environment=environment(cell, run_directory.path / "unused"),
        run_directory=run_directory.path,
        log=log,
        limit=limit,
        stop=run_directory.stop_request,  # at once: what these stages have done is kept, and they go on by themselves
    )
    if ended.asked and ended.code is None:
        raise Stopped(f"in {stage}")
    require_success(stage, ended, log, limit)
    return ended


def require_success(stage: str, ended: Ended, log: Path, limit: float) -> None:
    """Raises:
    StageFailed: the stage did not end well.
    """
    if ended.code == 0:
        return
    refuse_out_of_memory(stage, log)
    if ended.code is None:
        raise StageFailed(f"{stage} took longer than its limit of {limit:g} s and was ended (log: {log})", TRY_AGAIN)
    if ended.code < 0:
        hint = ": the system may have run out of memory" if ended.code == -9 else ""
        raise StageFailed(f"{stage} was ended by signal {-ended.code}{hint} (log: {log})", TRY_AGAIN)
    text = log.read_text(errors="replace")
    if taken := _PORT_TAKEN.search(text):
        line = text[text.rfind("\n", 0, taken.start()) + 1 : taken.end()].strip()
        raise StageFailed(f"{stage} lost a port to another program: {line[-400:]} (log: {log})", TRY_AGAIN)
    reason = last_error(text).removeprefix("CellError: ")
    raise StageFailed(f"{stage} failed: {reason} (log: {log})", ended.code)


def refuse_out_of_memory(stage: str, log: Path) -> None:
    """Raises:
    StageFailed: a worker of this stage was ended because the machine had no memory left, by Ray or by the kernel.
    """
    text = log.read_text(errors="replace") if log.exists() else ""
    do = "close other programs or use a larger machine; the same command goes on"
    if found := _MEMORY.search(text):
        raise StageFailed(
            f"{stage} ran out of memory, and Ray ended a worker: {do} ({found[0]}; log: {log})", TRY_AGAIN
        )
    if _KILLED.search(text) and _MISSED.search(text) and not _CRASHED.search(text):
        raise StageFailed(
            f"{stage} lost a worker that was killed, as the kernel does when memory runs out (dmesg knows): {do} "
            f"(log: {log})",
            TRY_AGAIN,
        )
