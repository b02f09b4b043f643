"""The controls that know the truth, and shuffled weights, written down plainly."""

from __future__ import annotations

import math


def oracle(reads: list[list[float]], reading: float, elsewhere: float) -> list[list[float]]:
    return [[reading if token else elsewhere for token in response] for response in reads]


def process(
    advantages: list[list[float]], reads: list[list[float]], right: list[float], groups: list[str]
) -> list[list[float]]:
    """Tokens that read have the group-relative advantage of their response's verdict; others keep theirs."""
    changed = []
    for base, marks, verdict, group in zip(advantages, reads, right, groups, strict=True):
        verdicts = [v for v, other in zip(right, groups, strict=True) if other == group]
        mean = sum(verdicts) / len(verdicts)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in verdicts) / len(verdicts))
        own = (verdict - mean) / (deviation + 1e-6)
        changed.append([own if mark else advantage for advantage, mark in zip(base, marks, strict=True)])
    return changed
