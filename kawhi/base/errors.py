"""What the user can mend."""

from __future__ import annotations


class CellError(RuntimeError):
    """Something the user can mend; its text is one sentence that says how."""


class DataMissing(CellError):
    """A data file that nobody has prepared yet."""
