"""One process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kawhi.base.errors import CellError


@contextmanager
def alone(file: Path, refusal: str = "", seconds: float = -1) -> Iterator[None]:
    """Only one process at a time, on all machines that share the folder; one that is killed has it no longer.

    Args:
        refusal: the sentence when another process still has it after so many ``seconds``; below 0 is for ever.

    Raises:
        CellError: with that sentence.
        OSError: the file cannot be made or locked.
    """
    from filelock import FileLock, Timeout  # `kawhi status` takes no lock

    try:
        # Where a disk knows no locks this fails: a file that only has to exist would outlive a process that is killed.
        lock = FileLock(file, timeout=seconds, fallback_to_soft=False).acquire(poll_interval=0.1)
    except Timeout as error:
        raise CellError(refusal) from error
    with lock:
        yield
