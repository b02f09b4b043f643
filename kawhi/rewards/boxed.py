"""Exact match on the last ``\\boxed{}`` of a response."""

from __future__ import annotations

import re

_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")


def boxed_answer(response: str) -> str | None:
    """Text inside the last ``\\boxed{}``, stripped; ``None`` when there is none."""
    found = _BOXED.findall(response)
    return found[-1].strip() if found else None


def is_correct(response: str, answer: str) -> bool:
    """Whether the boxed answer is exactly the expected text."""
    return boxed_answer(response) == answer.strip()


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info=None, **_) -> dict[str, float]:
    """verl's reward signature; ``acc`` beside ``score`` is what DAPO's group filter reads."""
    correct = float(is_correct(solution_str, ground_truth))
    return {"score": correct, "acc": correct}
