"""The last ``\\boxed{}`` of a response, and the tiny world's reward: exact match on it."""

from __future__ import annotations

import re

# `\{` is a character of the answer (a set), not a brace that LaTeX matches; the brace after `\\` is one.
_BRACE = re.compile(r"(\\boxed\{)|\\\\(?!boxed\{)|\\[{}]|(\{)|(\})")


def boxed_answer(response: str) -> str | None:
    """Text inside the last ``\\boxed{}`` that is closed, stripped, with any braces inside it; ``None`` without one.

    One pass, so that megabytes of braces take a time proportional to their length.
    """
    boxes: list[tuple[int, int]] = []  # open ones: depth outside, start of the content
    depth = 0
    last = (0, 0)  # of the closed ones, the content of the one that starts last
    for found in _BRACE.finditer(response):
        kind = found.lastindex
        if kind == 1:
            boxes.append((depth, found.end()))
            depth += 1
        elif kind == 2:
            depth += 1
        elif kind == 3 and depth:
            depth -= 1
            if boxes and boxes[-1][0] == depth:
                last = max(last, (boxes.pop()[1], found.start()))
    return response[slice(*last)].strip() if last[0] else None


def is_correct(response: str, answer: str) -> bool:
    """Whether the boxed answer is exactly the expected text."""
    return boxed_answer(response) == answer.strip()


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info=None, **_) -> dict[str, float]:
    """verl's reward signature; ``acc`` beside ``score`` is what DAPO's group filter reads."""
    correct = float(is_correct(solution_str, ground_truth))
    return {"score": correct, "acc": correct}
