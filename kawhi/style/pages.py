"""How the project makes a page: a template beside the code that fills it, in the frame and the style of this folder."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def templates(module: str) -> Environment:
    """The templates of a module's folder; every value that they print is escaped.

    Args:
        module: its ``__file__``.
    """
    return Environment(
        loader=FileSystemLoader([Path(module).parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
