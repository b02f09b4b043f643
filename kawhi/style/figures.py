"""One look for all figures."""

from __future__ import annotations

from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure

STYLE = Path(__file__).parent / "kawhi.mplstyle"
"""Style sheet; figures are made and saved under it."""


def save(figure: Figure, files: tuple[Path, ...]) -> None:
    """Writes a figure, one file per suffix."""
    with matplotlib.style.context(STYLE):
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(file)
