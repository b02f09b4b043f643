"""Every reply of a judge to one benchmark, one JSON object per line, written as it arrives and never changed."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from kawhi.base.errors import CellError
from kawhi.evaluation.samples import REFUSED


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file; a last one that a killed process left unfinished is cut off the file."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    return whole.splitlines()


class ReplyLog:
    """An append-only file; a line that a killed process left unfinished is dropped when the file is opened again.

    Attributes:
        good: request's hash -> the last record with ``"ok": true``.
        refused: request's hash -> the last record of a request that the server refused for good.

    Raises:
        CellError: a line inside the file is no record, or the disk is full.
    """

    def __init__(self, path: Path):
        self.path = path
        self.good: dict[str, dict[str, Any]] = {}
        self.refused: dict[str, dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            for number, line in enumerate(whole_lines(path), start=1):
                try:
                    record = json.loads(line)
                    self._remember(record)
                except (ValueError, LookupError, TypeError) as error:
                    raise CellError(
                        f"line {number} of {path} is no judge's reply: delete this line and run the same command again"
                    ) from error
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> ReplyLog:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.fsync(self._file)
        finally:
            os.close(self._file)

    def append(self, record: dict[str, Any]) -> None:
        """One system call per line, so that a kill can leave at most the last one unfinished."""
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(errno.ENOSPC, "short write")
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise CellError(f"the disk that holds {self.path} is full: free some space and run again") from error
            raise
        self._remember(record)

    def _remember(self, record: dict[str, Any]) -> None:
        if record["ok"]:
            self.good[record["request"]] = record
        elif str(record.get("error", "")).startswith(REFUSED):
            self.refused[record["request"]] = record
