"""What a program drew, read from the sandbox's output, which is treated as foreign: every part is checked."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from kawhi.evaluation.chartmimic import limits

_NAME = re.compile(r"[a-z0-9_ ]{1,40}")
Cell = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class Figure:
    """A figure as the scores see it; ``child/tracing.py`` says what counts.

    Attributes:
        texts: lines of text without the ticks of the axes.
        layout: per axes: rows, columns, first and last row, first and last column; ``None`` without a grid.
        types: drawing function -> number of calls.
        colors: different (drawing function, ``#RRGGBB`` or name of a colour map), first drawn first.
        png: the figure itself.
    """

    texts: tuple[str, ...]
    layout: tuple[Cell | None, ...]
    types: Mapping[str, int]
    colors: tuple[tuple[str, str], ...]
    png: bytes


def parse(output: bytes) -> tuple[Figure | None, str, dict[str, str]]:
    """Reads what ``child/draw.py`` wrote.

    Returns:
        The figure, or ``None`` and why there is none; and matplotlib's font lists where they were asked for.

    Raises:
        ValueError: the output is not of the form that ``child/draw.py`` gives it.
    """
    line, _, png = output.partition(b"\n")
    try:
        found = json.loads(line, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("the record is not an object")
    fonts = _fonts(found.get("fonts", {}))
    if failure := _text(found.get("error", "")):
        return None, failure, fonts
    figure = Figure(
        texts=tuple(_text(each) for each in _list(found.get("texts"))),
        layout=tuple(_cell(each) for each in _list(found.get("layout"))),
        types=_types(found.get("types")),
        colors=tuple(_color(each) for each in _list(found.get("colors"))),
        png=_image(png),
    )
    return figure, "", fonts


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    # Lone surrogates are valid in JSON escapes but not in any file.
    return value[: limits.CHARACTERS].encode("utf-8", "replace").decode()


def _fonts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(
        isinstance(text, str) and "/" not in name for name, text in value.items()
    ):
        raise ValueError("the font lists are not texts")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > limits.TEXTS:
        raise ValueError("not a list of a sensible length")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 10**6:
        raise ValueError("not a count")
    return value


def _cell(value: Any) -> Cell | None:
    if value is None:
        return None
    rows, columns, top, bottom, left, right = (_count(each) for each in _list(value))
    return rows, columns, top, bottom, left, right


def _types(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or not all(_NAME.fullmatch(name) for name in value):
        raise ValueError("not counts by drawing function")
    return {name: _count(calls) for name, calls in value.items()}


def _color(value: Any) -> tuple[str, str]:
    name, color = (_text(each) for each in _list(value))
    if not _NAME.fullmatch(name) or (color.startswith("#") and not re.fullmatch("#[0-9A-F]{6}", color)):
        raise ValueError("not a colour")
    return name, color


def _image(png: bytes) -> bytes:
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            if max(image.size) > limits.PIXELS + 1:
                raise ValueError(f"a figure of {image.size[0]} x {image.size[1]} pixels")
            image.verify()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a PNG: {error}") from error
    return png
