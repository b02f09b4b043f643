"""A contact sheet: what the tiny world looks like, one drawing per cell with its question and answer."""

from __future__ import annotations

from itertools import islice

from PIL import Image, ImageDraw, ImageFont

from kawhi.tiny.world import Split, problems

_CAPTION = 30


def contact_sheet(split: Split = "train", columns: int = 6, rows: int = 4, size: int = 196, seed: int = 0) -> Image.Image:
    """``columns * rows`` problems of a split as one RGB image."""
    sheet = Image.new("RGB", (columns * (size + 8) + 8, rows * (size + _CAPTION + 8) + 8), (225, 225, 225))
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=11)
    for i, problem in enumerate(islice(problems(split, seed), columns * rows)):
        x, y = 8 + (i % columns) * (size + 8), 8 + (i // columns) * (size + _CAPTION + 8)
        sheet.paste(problem.drawing.render(size), (x, y))
        pen.text((x, y + size + 2), problem.question, fill=(20, 20, 20), font=font)
        pen.text((x, y + size + 15), f"answer: {problem.answer}", fill=(90, 90, 90), font=font)
    return sheet
