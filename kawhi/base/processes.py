"""Child processes that end when they should: with their stage, at their time limit, or with the harness.

Every process of a stage carries ``KAWHI_RUN_DIR`` in its environment.  That is how stragglers are found: Ray's and
vLLM's workers leave the process group and the session of the process that started them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

RUN_DIRECTORY = "KAWHI_RUN_DIR"
MEMORY_SECONDS = 5
"""Between two looks at the memory: a look at 20 processes takes a tenth of a second."""
_PR_SET_PDEATHSIG = 1
_SHARED = "/dev/shm/"


@dataclass(frozen=True)
class Ended:
    """How a stage's process ended.

    Attributes:
        code: exit code; negative for a signal; ``None`` when it was ended here, at its limit or as asked.
        seconds: wall time.
        asked: whether it was asked to stop.
        memory_gib: the most that all its processes were seen to hold at once; shared pages count once.
    """

    code: int | None
    seconds: float
    asked: bool = False
    memory_gib: float = 0.0


def run(
    command: list[str],
    *,
    environment: dict[str, str],
    run_directory: Path,
    log: Path,
    limit: float,
    watch: Callable[[], None] | None = None,
    stop: Path | None = None,
    patience: float = 0,
) -> Ended:
    """Runs a command to its end or its limit and leaves none of its descendants behind.

    Args:
        log: stdout and stderr are appended here.
        limit: seconds.
        watch: called about twice a second while the command runs.
        stop: a file that asks the command to stop; it may look for it itself.
        patience: seconds from then on until the command is ended.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            env={**environment, RUN_DIRECTORY: str(run_directory)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    end = start + limit
    asked = False
    memory, looked = 0.0, start
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=min(0.5, max(0, end - time.monotonic())))
            if not asked and stop is not None and stop.exists():
                asked, end = True, min(end, time.monotonic() + patience)
            if process.returncode is not None or time.monotonic() >= end:
                return Ended(process.returncode, time.monotonic() - start, asked, round(memory, 3))
            if time.monotonic() - looked >= MEMORY_SECONDS:
                memory, looked = max(memory, memory_gib(run_directory)), time.monotonic()
            if watch is not None:
                watch()
    finally:
        end_stragglers(run_directory)
        if process.poll() is None:
            process.kill()
        process.wait()


def end_stragglers(run_directory: Path) -> int:
    """Ends every process that belongs to a run directory, with its shared memory; returns how many there were."""
    ended = 0
    held: set[Path] = set()
    # A process can fork between the look and the kill, so look again; one that cannot be killed must not hold us up.
    seen_none = False
    for last in (False, False, False, True):
        found = belonging_to(run_directory)
        if not found:
            if seen_none:
                break
            seen_none = True
            time.sleep(0.05)  # one that is just becoming another program has no environment for a moment
            continue
        held |= shared_memory(found)
        for process in found:
            _signal(process, signal.SIGTERM)
        _, alive = psutil.wait_procs(found, timeout=1)
        for process in alive:
            if last or not tidies(process):
                _signal(process, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=5)
        ended += len(found)
    remove_unused(held)
    return ended


def shared_memory(processes: Iterable[psutil.Process]) -> set[Path]:
    """The files of /dev/shm that processes have mapped."""
    found = set()
    for process in processes:
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            lines = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
            found |= {Path(line[line.index(_SHARED) :]) for line in lines if _SHARED in line}
    return found


def remove_unused(segments: set[Path]) -> None:
    """Removes the files of /dev/shm that nobody has mapped any more; those who should have were killed with them."""
    if segments:
        for segment in segments - shared_memory(psutil.process_iter()):
            segment.unlink(missing_ok=True)


def tidies(process: psutil.Process) -> bool:
    """Whether it is a resource tracker of multiprocessing.

    It ends by itself after those whose shared memory it removes; where it is killed with them, that stays in /dev/shm.
    """
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return any("multiprocessing.resource_tracker" in word for word in process.cmdline())
    return False


def memory_gib(run_directory: Path) -> float:
    """What the processes of a run directory hold now, in GiB.

    The sum of their proportional set sizes, in which a page that several share counts once.
    """
    total = 0
    for process in belonging_to(run_directory):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total / 2**30


def processor_seconds(run_directory: Path) -> float:
    """What the processes of a run directory, and children of theirs that ended, have used of processors until now."""
    total = 0.0
    for process in belonging_to(run_directory):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            spent = process.cpu_times()
            total += spent.user + spent.system + spent.children_user + spent.children_system
    return total


def belonging_to(run_directory: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            spared = process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE
            if not spared and process.environ().get(RUN_DIRECTORY) == str(run_directory):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process.send_signal(number)


def die_with_parent() -> None:
    """``preexec_fn`` of every child.

    A SIGKILL of the harness reaches no handler of ours, so the kernel ends the child, and Ray's own reaper Ray's
    workers.  Interrupts count again: a shell's background job starts with them ignored.  SIGUSR2 counts for nobody:
    Slurm announces the end of a job with it to all processes of the step, whose default is to die of it.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


_OF_A_WORKER = re.compile(r"(\x1b\[[\d;]*m)*\(\w+ pid=")


def last_error(log: str) -> str:
    """The most telling line of a log: the last raised exception, the program's own before its workers', else the last.

    Ray prints what its workers say some time later, with their name in front.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    own_first = sorted(enumerate(lines), key=lambda line: (_OF_A_WORKER.match(line[1]) is None, line[0]))
    for number, line in reversed(own_first):
        head = line.split(":", 1)[0].rsplit(" ", 1)[-1]
        if head.endswith(("Error", "Exception", "Interrupt")) and ":" in line:
            more = lines[number + 1] if line.endswith(":") and number + 1 < len(lines) else ""
            return f"{line} {more}".strip()[:400]
    return lines[-1][:400] if lines else "the log is empty"
