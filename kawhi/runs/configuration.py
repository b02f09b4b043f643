"""Where ``conf`` is."""

from __future__ import annotations

from pathlib import Path

from kawhi.runs.identity import CellError


def configuration_folder() -> Path:
    """``conf`` of the folder the command is typed in, or of the checkout that the package is installed from.

    Raises:
        CellError: neither is there.
    """
    for folder in (Path("conf"), Path(__file__).parents[2] / "conf"):
        if (folder / "run.yaml").is_file():
            return folder
    raise CellError("there is no conf/run.yaml here: type the command in a checkout of the repository")
