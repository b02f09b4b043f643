"""What a training prompt says, in one place.  The tiny world asks its questions without it."""

from __future__ import annotations

IMAGE = "<image>"

INSTRUCTION = (
    "Reason first, between <think> and </think>. "
    "Then give the final answer, and nothing but the answer, inside \\boxed{}."
)
"""Both marks are those the papers name: reasoning in ``<think>``, the answer that is verified in ``\\boxed{}``."""


def compose(question: str, images: int) -> str:
    """The user's message: the images where the question puts them, else before it, then the instruction.

    A question with some markers keeps them as they are, so a wrong number of them can still be found.
    """
    if IMAGE not in question:
        question = IMAGE * images + question
    return f"{question}\n\n{INSTRUCTION}"
