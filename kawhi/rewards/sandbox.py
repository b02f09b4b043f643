"""math-verify in a child process that the kernel bounds, so that no answer can hang or crash a reward worker.

One child serves one process, so that the import of sympy is paid once; threads take turns.  An answer that exceeds a
limit ends the child and is refused; the next answer gets a new child.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from kawhi.rewards.limits import CPU_SECONDS, START_SECONDS, WALL_SECONDS

logger = logging.getLogger(__name__)

Outcome = Literal["right", "wrong", "refused", "unreadable truth"]
_MODULE = "kawhi.rewards.sandbox_child"
_ATTEMPTS = 2
# Ends of a child that are not the answer's doing: it had grown, somebody killed or stopped it, the machine was stuck.
_TRY_AGAIN = frozenset({"retired", "killed", "wall time"})


class Sandbox:
    """A child that compares LaTeX formulas.  Safe to share between threads.

    Attributes:
        refusals: how many answers were refused, by reason.
        starts: how many children were started.
    """

    def __init__(self, cpu_seconds: float = CPU_SECONDS, wall_seconds: float = WALL_SECONDS) -> None:
        self._cpu_seconds, self._wall_seconds = cpu_seconds, wall_seconds
        self.refusals: Counter[str] = Counter()
        self.starts = 0
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._unreadable: set[str] = set()

    def compare(self, pairs: Sequence[tuple[str, str]], close: Sequence[tuple[str, str]] = ()) -> Outcome:
        """Whether an answer equals its ground truth, under the limits of ``kawhi.rewards.limits``.

        Args:
            pairs: readings as (ground truth, answer), LaTeX without dollars; one that is equal is enough.
            close: pairs of formulas that must be numbers within 1 % of each other, else the verdict is ``wrong``.

        Returns:
            ``refused`` if the answer broke a limit; ``unreadable truth`` if the ground truth alone does.

        Raises:
            RuntimeError: no child can be started.
        """
        truths = list(dict.fromkeys(truth for truth, _ in pairs))
        request = json.dumps({"truths": truths, "pairs": pairs, "close": close}).encode() + b"\n"
        with self._lock:
            if self._unreadable.intersection(truths):
                return "unreadable truth"
            failure: str | None = None
            for _ in range(_ATTEMPTS):
                lines, failure = self._ask(request)
                if failure is None:
                    return "right" if lines[-1] == "true" else "wrong"
                if failure not in _TRY_AGAIN:
                    break
            if failure == "retired":
                raise RuntimeError(f"a fresh {_MODULE} ends without judging an answer; run it by hand to see why")
            if not lines and failure not in _TRY_AGAIN:
                self._unreadable.update(truths)
                logger.warning("the ground truth %.80r cannot be judged (%s); compared as text", truths[0], failure)
                return "unreadable truth"
            return self.refuse(str(failure), pairs[0][1])

    def refuse(self, reason: str, answer: str) -> Outcome:
        """Counts and logs a refusal, without the answer: what a model wrote must not look like an error in a log."""
        self.refusals[reason] += 1
        logger.warning("answer refused (%s), %d characters", reason, len(answer))
        return "refused"

    def close(self) -> None:
        """Ends the child; the next comparison starts another one."""
        with self._lock:
            self._end()

    def _ask(self, request: bytes) -> tuple[list[str], str | None]:
        """The child's lines, and why it did not finish; ``None`` if it did."""
        child = self._running()
        try:
            self._write(child, request)
            deadline = time.monotonic() + self._wall_seconds
            lines: list[str] = []
            while len(lines) < 2:
                line = self._line(child, deadline)
                if line is None:
                    return lines, self._why(child)
                lines.append(line)
        except BaseException:  # a half-read reply must not answer the next question
            self._end()
            raise
        return lines, None

    def _why(self, child: subprocess.Popen[bytes]) -> str:
        """Reason of a child that said nothing more; it is ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=1)  # its pipe closes a moment before its exit code is there
        code = child.poll()
        self._end()
        if code is None:
            return "wall time"
        return {0: "retired", -signal.SIGKILL: "killed", -signal.SIGPROF: "CPU time"}.get(code, "crash")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            self._end()
        if self._child is None:
            self._child = self._start()
        return self._child

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        # What this process can import, the child can: Ray's workers have paths that no environment variable tells.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        with tempfile.TemporaryFile() as errors:
            try:
                child = subprocess.Popen(
                    [sys.executable, "-P", "-m", _MODULE, str(self._cpu_seconds)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=environment,
                )
            except OSError as error:
                raise RuntimeError(f"the child that judges answers cannot be started: {error}") from error
            self._unread = b""
            if self._line(child, time.monotonic() + START_SECONDS) != "ready":
                child.kill()
                child.wait()
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip().splitlines() or ["no word from it"]
                raise RuntimeError(f"the child that judges answers cannot be started: {said[-1]}")
        return child

    def _end(self) -> None:
        child, self._child, self._unread = self._child, None, b""
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    @staticmethod
    def _write(child: subprocess.Popen[bytes], request: bytes) -> None:
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then reading finds the end, and the exit code
            child.stdin.write(request)
            child.stdin.flush()

    def _line(self, child: subprocess.Popen[bytes], deadline: float) -> str | None:
        """Next line of the child; ``None`` when it has ended or the time is up."""
        assert child.stdout is not None
        poll = select.poll()  # select() cannot take the descriptors above 1023 of a busy worker
        poll.register(child.stdout, select.POLLIN)
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return None
            more = os.read(child.stdout.fileno(), 4096)
            if not more:
                return None
            self._unread += more
        line, self._unread = self._unread.split(b"\n", 1)
        return line.decode()


_shared = Sandbox()


def _forget(*_: Any) -> None:
    """A forked process has its parent's pipe and perhaps its locked lock, neither of which it can use."""
    global _shared
    _shared = Sandbox()


atexit.register(lambda: _shared.close())


os.register_at_fork(after_in_child=_forget)


def shared() -> Sandbox:
    """This process's sandbox; its child starts with the first comparison."""
    return _shared
