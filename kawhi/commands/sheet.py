"""``kawhi sheet``."""

from __future__ import annotations

from pathlib import Path

import click

from kawhi.base.errors import CellError
from kawhi.commands.app import app


@app.command(short_help="a contact sheet of the tiny world as PNG")
@click.argument("out", type=Path)
def sheet(out: Path) -> None:
    """Draws a contact sheet of the tiny world as PNG."""
    from kawhi.tiny.sheet import contact_sheet

    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        contact_sheet().save(out)
    except ValueError as error:  # a file type that Pillow does not know
        raise CellError(str(error)) from error
    print(f"wrote {out}")
