"""A contact sheet: what a drawn world looks like, one drawing per cell with its question and answer."""

from __future__ import annotations

import math
from itertools import islice

from PIL import Image, ImageDraw, ImageFont

from kawhi.tiny.world import Split
from kawhi.tiny.worlds import TINY, problems_of

_CAPTION, _GAP = 30, 8


def contact_sheet(
    world: str = TINY, split: Split = "train", columns: int = 6, rows: int = 4, size: int = 196, seed: int = 0
) -> Image.Image:
    """``columns * rows`` problems of a split as one RGB image; a cell is as wide as the longest question needs."""
    shown = list(islice(problems_of(world, split, seed), columns * rows))
    font = ImageFont.load_default(size=11)
    width = max(size, *(math.ceil(font.getlength(problem.question)) for problem in shown))
    sheet = Image.new("RGB", (columns * (width + _GAP) + _GAP, rows * (size + _CAPTION + _GAP) + _GAP), (225, 225, 225))
    pen = ImageDraw.Draw(sheet)
    for i, problem in enumerate(shown):
        x, y = _GAP + (i % columns) * (width + _GAP), _GAP + (i // columns) * (size + _CAPTION + _GAP)
        sheet.paste(problem.drawing.render(size), (x + (width - size) // 2, y))
        pen.text((x + width / 2, y + size + 2), problem.question, fill=(20, 20, 20), font=font, anchor="ma")
        pen.text((x + width / 2, y + size + 15), f"answer: {problem.answer}", fill=(90, 90, 90), font=font, anchor="ma")
    return sheet
