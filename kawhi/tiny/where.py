"""Where in a drawing the digits of an answer stand: which visual tokens a model has to look at to read them."""

from __future__ import annotations

from collections.abc import Sequence

from kawhi.tiny.drawing import PAGE, Drawing


def visual_tokens(drawing: Drawing, character: str, side: int) -> frozenset[int]:
    """The visual tokens, row-major on a grid of ``side`` squared, in which this character can be read."""

    def cell(position: float) -> int:
        return min(side - 1, max(0, int(position / PAGE * side)))

    return frozenset(cell(y) * side + cell(x) for x, y, glyph in drawing.glyphs if glyph == character)


def right_tokens(
    drawing: Drawing, tokens: Sequence[str], reads: Sequence[bool], side: int
) -> dict[int, frozenset[int]]:
    """For each digit of a reading that stands in the drawing: its index, and the visual tokens where it stands.

    Args:
        tokens: ``(T,)`` text of each response token; a digit is a token of its own.
        reads: ``(T,)`` whether a token is of a paragraph that reads.
    """
    found = {
        index: visual_tokens(drawing, token, side)
        for index, (token, its) in enumerate(zip(tokens, reads, strict=True))
        if its and token.isdecimal()
    }
    return {index: where for index, where in found.items() if where}
