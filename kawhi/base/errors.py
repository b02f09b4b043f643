"""What the user can mend."""

from __future__ import annotations

import re


class CellError(RuntimeError):
    """Something the user can mend; its text is one sentence that says how."""


class DataMissing(CellError):
    """A data file that nobody has prepared yet."""


def sentence(error: BaseException) -> str:
    """What an error says, on one line; without the search path that Hydra adds and what OmegaConf says of its tree."""
    said = str(error).split("Config search path")[0].split("\n    full_key:")[0]
    return " ".join(re.sub(r"^\w+ raised while resolving interpolation: ", "", said).split())
