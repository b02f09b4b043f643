"""Whether a response has the form that the prompt asks for: ``<think>...</think>``, then ``\\boxed{...}``."""

from __future__ import annotations


def has_format(response: str) -> bool:
    """verl's Geo3K rule, ``<think>.*</think>.*\\boxed\\{.*\\}.*`` on the whole response.

    Written as four searches: the regular expression takes quadratic time on thousands of unclosed boxes.
    """
    if not response.startswith("<think>"):
        return False
    position = len("<think>")
    for mark in ("</think>", "\\boxed{", "}"):
        found = response.find(mark, position)
        if found < 0:
            return False
        position = found + len(mark)
    return True


def scored(acc: float, response: str, format_weight: float) -> dict[str, float]:
    """What verl's rewards say of a response: ``score`` = (1 − w) · ``acc`` + w · ``format``."""
    form = float(has_format(response))
    return {"score": weighted(acc, form, format_weight), "acc": acc, "format": form}


def weighted(acc: float, form: float, format_weight: float) -> float:
    """Score of a response: (1 − w) · accuracy + w · format.

    Raises:
        ValueError: the weight is not in [0, 1].
    """
    if not 0.0 <= format_weight <= 1.0:
        raise ValueError(f"format_weight must be in [0, 1], not {format_weight}")
    return (1.0 - format_weight) * acc + format_weight * form
