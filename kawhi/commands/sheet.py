"""``kawhi sheet``."""

from __future__ import annotations

from pathlib import Path

import click

from kawhi.base.errors import CellError
from kawhi.commands.app import app


@app.command(short_help="a contact sheet of a tiny world as PNG")
@click.argument("out", type=Path, help="the picture to write, e.g. sheet.png (or .jpg, .webp)")
@click.option("--world", default="tiny", show_default=True, help="tiny, reading_plain or reading_long")
def sheet(out: Path, world: str) -> None:
    """Draws what the tiny models are trained on as one picture: 24 problems with question and answer.

    \b
      kawhi sheet sheet.png
      kawhi sheet reading.png --world reading_plain
    """
    from kawhi.tiny.sheet import contact_sheet
    from kawhi.tiny.worlds import WORLDS

    if world not in WORLDS:
        raise CellError(f"there is no world {world}; choose one of {', '.join(WORLDS)}")

    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        contact_sheet(world).save(out)
    except ValueError as error:  # a file type that Pillow does not know
        raise CellError(str(error)) from error
    print(f"wrote {out}")
