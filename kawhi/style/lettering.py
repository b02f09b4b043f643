"""Text for the picture: lines that fit, in fonts that are there."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from matplotlib import font_manager
from PIL import ImageFont

BASE = "DejaVu Sans"  # comes with matplotlib
# Tried in this order for what the base font lacks; a machine may have none of them, then boxes are drawn.
_FALLBACKS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Source Han Sans SC",
    "Droid Sans Fallback",
    "PingFang SC",
    "Microsoft YaHei",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Noto Emoji",
)
_MEASURED_AT = 100  # pixels per em


@lru_cache(maxsize=1)
def families() -> list[str]:
    """Font families for matplotlib, the base font first."""
    there = {font.name for font in font_manager.fontManager.ttflist}
    return [BASE, *(name for name in _FALLBACKS if name in there)]


@lru_cache(maxsize=2)
def _font(bold: bool) -> ImageFont.FreeTypeFont:
    properties = font_manager.FontProperties(family=BASE, weight="bold" if bold else "normal")
    return ImageFont.truetype(font_manager.findfont(properties), _MEASURED_AT)


@lru_cache(maxsize=8192)
def _ems(character: str, bold: bool) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    return _font(bold).getlength(character) / _MEASURED_AT


def width(text: str, points: float, bold: bool = False) -> float:
    """Inches that a line takes."""
    return sum(_ems(character, bold) for character in text) * points / 72


def wrapped(text: str, inches: float, points: float, most: int | None = None, bold: bool = False) -> list[str]:
    """Lines of at most this width; a word that is longer than a line is broken, wherever it is.

    Args:
        most: number of lines; what does not fit is replaced by an ellipsis.
    """
    lines = [line for given in _printable(text).splitlines() or [""] for line in _filled(given, inches, points, bold)]
    if most is None or len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and width(last + "…", points, bold) > inches:
        last = last[:-1]
    return [*lines[: most - 1], last.rstrip() + "…"]


def _filled(given: str, inches: float, points: float, bold: bool) -> Iterator[str]:
    """One line of text as lines of at most this width."""
    line = ""
    for word in _words(given):
        if line and width(line + word.rstrip(), points, bold) > inches:
            yield line.rstrip()
            line, word = "", word.lstrip()
        while width(word.rstrip(), points, bold) > inches:
            fits = _prefix(word, inches, points, bold)
            yield word[:fits]
            word = word[fits:]
        line += word
    yield line.rstrip()


def _prefix(word: str, inches: float, points: float, bold: bool) -> int:
    taken, fits = 0.0, 0
    for character in word:
        taken += _ems(character, bold) * points / 72
        if taken > inches:
            break
        fits += 1
    return max(1, fits)


def _words(line: str) -> list[str]:
    """Words with the space after them; between wide characters a line may break anywhere."""
    found, word = [], ""
    for character in line:
        wide = unicodedata.east_asian_width(character) in "WF"
        if wide and word:
            found.append(word)
            word = ""
        word += character
        if wide or character == " ":
            found.append(word)
            word = ""
    return [*found, word] if word else found


def _printable(text: str) -> str:
    return "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else " " for c in text.expandtabs(4))
