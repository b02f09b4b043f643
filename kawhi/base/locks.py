"""One process at a time."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kawhi.base.errors import CellError

_POLL_SECONDS = 0.1


@contextmanager
def alone(file: Path, refusal: str = "", seconds: float = -1) -> Iterator[None]:
    """Only one process at a time, on all machines that share the folder; one that is killed has it no longer.

    Args:
        refusal: the sentence when another process still has it after so many ``seconds``; below 0 is for ever.

    Raises:
        CellError: with that sentence.
        OSError: the file cannot be made or locked.
    """
    with open(file, "a") as held:
        end = time.monotonic() + seconds
        while not _taken(held):
            if seconds >= 0 and time.monotonic() >= end:
                raise CellError(refusal)
            time.sleep(_POLL_SECONDS)
        yield


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
