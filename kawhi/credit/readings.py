"""Which paragraphs of a response read numbers off the image, and whether rightly: the truth that controls need.

Nothing is known of a world's sentences.  A paragraph with ``\\boxed{`` answers, one with an equation computes, and any
other one that states a number before anything was computed or answered reads.  Of those without numbers, what stands
before the first of all these says the task.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

import torch
from torch import Tensor

from kawhi.credit.segments import packed_segments, paragraphs

Kind = Literal["task", "reading", "filler", "computation", "answer", "other"]

READS, READING_RIGHT = "reads", "reading_right"
TRUTH = frozenset({READS, READING_RIGHT})
"""Signals that only data with known readings have."""

_BOX = re.compile(r"\\boxed\{([^{}]*)\}")
_NUMBER = re.compile(r"\d+", re.ASCII)
_TERM = re.compile(r"\d+(?:[-+*]\d+)*", re.ASCII)


@dataclass(frozen=True)
class ParagraphTruth:
    """What one paragraph of a response does.

    Attributes:
        kind: ``other`` is a paragraph without a letter or digit, or one that states a number when all was computed.
        start, end: its characters; the paragraphs of a response follow each other without a gap.
        numbers: those that it states, in their order.
        right: of a reading, that it states all known readings in the order asked for, and nothing else; of a
            computation, that its sides are equal and the first one has every number of the reading before it; of an
            answer, that it is the result of the computation before it.  ``None`` where none of that can be asked.
    """

    kind: Kind
    start: int
    end: int
    numbers: tuple[int, ...]
    right: bool | None


def truth(readings: Sequence[int], response: str) -> list[ParagraphTruth]:
    """The truth about every paragraph of a response, as :func:`kawhi.credit.segments.paragraphs` cuts it.

    Args:
        readings: the numbers that have to be read, in the order in which they are asked for.
    """
    found: list[ParagraphTruth] = []
    said: tuple[int, ...] = ()
    result: int | None = None
    parts = paragraphs(response)
    for text, (start, end) in zip(parts, pairwise(accumulate(map(len, parts), initial=0)), strict=True):
        numbers, right = tuple(map(int, _NUMBER.findall(text))), None
        kind = _kind(text, numbers, {each.kind for each in found})
        if kind == "reading":
            said, right = numbers, numbers == tuple(readings)
        elif kind == "computation":
            right, result = _computed(text, said)
        elif kind == "answer" and result is not None:
            right = _BOX.findall(text)[-1:] == [str(result)]
        found.append(ParagraphTruth(kind, start, end, numbers, right))
    return found


def _kind(text: str, numbers: tuple[int, ...], before: set[Kind]) -> Kind:
    if "\\boxed{" in text:
        return "answer"
    if numbers and "=" in text:
        return "computation"
    if numbers:
        return "other" if before & {"computation", "answer"} else "reading"
    if not re.search(r"\w", text):
        return "other"
    return "filler" if before & {"reading", "computation", "answer"} else "task"


def _computed(text: str, said: tuple[int, ...]) -> tuple[bool, int | None]:
    """Whether a computation is right, and its result: the last side of its equation, where that is a number."""
    sides = re.sub(r"^[^\d]*|[\s.]", "", text).split("=")
    values = [_value(side) for side in sides]
    used = list(map(int, _NUMBER.findall(sides[0])))
    has_all = all(used.count(number) >= said.count(number) for number in said)
    return has_all and None not in values and len(set(values)) == 1, values[-1]


def _value(side: str) -> int | None:
    """Of sums, differences and products of numbers; ``None`` for anything else."""
    if not _TERM.fullmatch(side):
        return None
    terms = side.replace("-", "+-").split("+")
    return sum(math.prod(int(factor) for factor in term.split("*")) for term in terms)


def read_rightly(found: Sequence[ParagraphTruth]) -> bool:
    """Whether a response reads at all, and each of its readings is right."""
    verdicts = [each.right for each in found if each.kind == "reading"]
    return bool(verdicts) and all(verdicts)


def truth_signals(
    readings: Sequence[Sequence[int]], token_ids: Tensor, offsets: Tensor, tokenizer
) -> dict[str, Tensor]:
    """The signals :data:`TRUTH` of a packed batch of ``B`` responses.

    Args:
        readings: of the drawing of each response.
        token_ids: ``(S,)`` of all responses, concatenated.
        offsets: ``(B + 1,)`` where each response starts.

    Returns:
        ``reads``: ``(S,)`` 1 in paragraphs that read, 0 elsewhere; ``reading_right``: ``(S,)`` 1 in responses that read
        rightly, 0 in others.
    """
    segments = packed_segments(token_ids, offsets, tokenizer, "paragraph")
    reads, right = torch.zeros(2, len(token_ids))
    for known, (start, end) in zip(readings, pairwise(offsets.tolist()), strict=True):
        found = truth(known, tokenizer.decode(token_ids[start:end].tolist(), skip_special_tokens=True))
        kinds = torch.tensor([float(each.kind == "reading") for each in found])
        reads[start:end] = kinds[segments[start:end]]
        right[start:end] = float(read_rightly(found))
    return {READS: reads, READING_RIGHT: right}
