"""The comparison methods written out token by token, in Python's float64."""

from __future__ import annotations

import math


def ft_rl(entropy: list[list[float]], keep: float, scope: str) -> list[list[float]]:
    """1 for entropies at or above the (1 - keep) quantile (linear between neighbours) of the batch or the response."""
    everything = [value for response in entropy for value in response]
    weights = []
    for response in entropy:
        limit = quantile(everything if scope == "batch" else response, 1 - keep)
        weights.append([1.0 if value >= limit else 0.0 for value in response])
    return weights


def quantile(values: list[float], share: float) -> float:
    if not values:
        return 0.0
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def vppo(
    log_probs: list[list[float]], perturbed: list[list[float]], keep: float, scale_min: float
) -> list[list[float]]:
    dependency = []
    for seen, blind in zip(log_probs, perturbed, strict=True):
        row = []
        for a, b in zip(seen, blind, strict=True):
            d = max(-20.0, min(20.0, b - a))
            row.append(max(0.0, min(10.0, math.exp(d) - d - 1)))
        dependency.append(row)
    means = [sum(row) / len(row) if row else 0.0 for row in dependency]
    low, high = min(means), max(means)
    if high > low:
        position = [(mean - low) / (high - low) for mean in means]
        upper = scale_min + (1 - scale_min) / (sum(position) / len(position))
        scale = [scale_min + (upper - scale_min) * p for p in position]
    else:
        scale = [1.0] * len(means)
    weights = []
    for row, s in zip(dependency, scale, strict=True):
        kept = sorted(range(len(row)), key=lambda t: (-row[t], t))[: math.ceil(round(keep * len(row), 9))]
        weights.append([s if t in kept else 0.0 for t in range(len(row))])
    return weights


def papo(log_probs: list[float], masked: list[float], perception: float, entropy: float) -> list[tuple[float, float]]:
    """Of each token what is minimised beside the base's loss, and its derivative by the token's log-probability.

    The divergence of a token is estimated by r - log r - 1, r being its probability beside the masked image over
    the one beside the true image; log r stays within 20 and the estimate within 10.
    """
    found = []
    for own, other in zip(log_probs, masked, strict=True):
        log_r = max(-20.0, min(20.0, other - own))
        divergence, slope = math.exp(log_r) - log_r - 1, 1 - math.exp(log_r)
        if abs(other - own) > 20 or divergence > 10:
            divergence, slope = min(divergence, 10.0), 0.0
        found.append((-perception * divergence - entropy * own, -perception * slope - entropy))
    return found


def tor(
    nucleus_entropy: list[float],
    sensitivity: list[float],
    *,
    reasoning_share: float,
    perception_share: float,
    reasoning_weight: float,
    perception_weight: float,
    types: str,
) -> list[float]:
    def top(values: list[float], share: float) -> set[int]:
        count = max(1, math.floor(round(share * len(values), 9) + 0.5))
        return set(sorted(range(len(values)), key=lambda t: (-values[t], t))[:count])

    reasoning = top(nucleus_entropy, reasoning_share) if types != "perception" else set()
    perception = top(sensitivity, perception_share) if types != "reasoning" else set()
    weights = []
    for t in range(len(nucleus_entropy)):
        if t in reasoning:
            weights.append(reasoning_weight)
        elif t in perception:
            weights.append(perception_weight)
        else:
            weights.append(0.0)
    return weights


def nucleus_entropy(logits: list[float], p: float) -> float:
    """Entropy of the renormalised smallest set of most probable tokens whose probabilities sum to at least p."""
    peak = max(logits)
    exponentials = [math.exp(value - peak) for value in logits]
    total = sum(exponentials)
    probabilities = sorted((value / total for value in exponentials), reverse=True)
    kept: list[float] = []
    for probability in probabilities:
        kept.append(probability)
        if sum(kept) >= p:
            break
    mass = sum(kept)
    return -sum(q / mass * math.log(q / mass) for q in kept if q > 0)
