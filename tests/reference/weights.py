"""Equations 14-15 for one response."""

from __future__ import annotations

import math


def batch_weights(batch: list[tuple[list[float], list[int]]], *, normalize: str, **options: float) -> list[float]:
    """Of all tokens of a batch of responses; ``batch_mean_one`` and ``batch_constant`` are of all of them together."""
    of_batch = normalize.startswith("batch_")
    each = "paper" if of_batch else normalize
    tokens = [w for response in batch if response[0] for w in paragraph_weights(*response, normalize=each, **options)]
    if not of_batch or not tokens:
        return tokens
    average = sum(tokens) / len(tokens)
    return [w / average for w in tokens] if normalize == "batch_mean_one" else [average] * len(tokens)


def paragraph_weights(
    alpha: list[float],
    segments: list[int],
    *,
    w_min: float,
    w_max: float,
    temperature: float,
    smoothing: float,
    normalize: str = "paper",
) -> list[float]:
    paragraphs = sorted(set(segments))
    mean = {}
    for j in paragraphs:
        inside = [a for a, s in zip(alpha, segments, strict=True) if s == j]
        mean[j] = sum(inside) / len(inside)
    # Subtracting one number everywhere leaves a softmax as it is and keeps exp in range at low temperatures.
    peak = max(mean.values())
    total = sum(math.exp((mean[k] - peak) / temperature) for k in paragraphs)
    weight = {}
    for j in paragraphs:
        softmax = math.exp((mean[j] - peak) / temperature) / total
        mixed = (1 - smoothing) * softmax + smoothing / len(paragraphs)
        if normalize == "constant":
            mixed = 1 / len(paragraphs)
        weight[j] = w_min + (w_max - w_min) * mixed
    tokens = [weight[s] for s in segments]
    if normalize == "mean_one":
        average = sum(tokens) / len(tokens)
        tokens = [w / average for w in tokens]
    return tokens
