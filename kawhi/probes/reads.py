"""Which paragraphs of a response read the image, as far as somebody knows.

The reading worlds have labels (:mod:`kawhi.credit.readings`); a worked answer of the tiny world has four paragraphs, of
which the second reads.  Of other data nobody knows: there the form of a paragraph has to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from kawhi.credit.readings import Kind, truth
from kawhi.credit.segments import paragraphs

_OF_THE_TINY_WORLD: tuple[Kind, ...] = ("task", "reading", "computation", "answer")


def kinds_of(source: str, response: str) -> tuple[list[Kind], bool]:
    """What each paragraph of a response does, and whether that is known or told by its form alone.

    Args:
        source: ``data_source`` of the problem's row.
    """
    if source == "tiny" and len(paragraphs(response)) == len(_OF_THE_TINY_WORLD):
        return list(_OF_THE_TINY_WORLD), True
    return [paragraph.kind for paragraph in truth((), response)], source.startswith("reading")


def reading(kinds: Sequence[Kind]) -> list[bool] | None:
    """For each paragraph whether it reads; ``None`` where none does, or all do."""
    found = [kind == "reading" for kind in kinds]
    return found if len(set(found)) == 2 else None


def reading_paragraphs(source: str, response: str) -> list[bool] | None:
    """For each paragraph whether it reads; ``None`` where nobody knows, where none does, or where all do."""
    kinds, known = kinds_of(source, response)
    return reading(kinds) if known else None
