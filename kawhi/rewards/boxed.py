"""Exact match on the last ``\\boxed{}`` of a response."""

from __future__ import annotations

_OPENING = "\\boxed{"


def boxed_answer(response: str) -> str | None:
    """Text inside the last ``\\boxed{}`` that is closed, stripped, with any braces inside it; ``None`` without one."""
    start = response.rfind(_OPENING)
    while start >= 0:
        first = start + len(_OPENING)
        depth = 1
        for end in range(first, len(response)):
            depth += {"{": 1, "}": -1}.get(response[end], 0)
            if depth == 0:
                return response[first:end].strip()
        start = response.rfind(_OPENING, 0, start)
    return None


def is_correct(response: str, answer: str) -> bool:
    """Whether the boxed answer is exactly the expected text."""
    return boxed_answer(response) == answer.strip()


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info=None, **_) -> dict[str, float]:
    """verl's reward signature; ``acc`` beside ``score`` is what DAPO's group filter reads."""
    correct = float(is_correct(solution_str, ground_truth))
    return {"score": correct, "acc": correct}
