"""Files that a reader never sees half-written."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from kawhi.base.errors import CellError


def write_atomically(path: Path, text: str) -> None:
    """A reader sees the old text or the new one, never a part; a full disk leaves the old one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CellError(f"the disk that holds {path.parent} is full: free some space and run again") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Atomic, readable, with stable key order."""
    write_atomically(path, json.dumps(value, indent=1, sort_keys=True) + "\n")
