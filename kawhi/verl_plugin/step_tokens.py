"""All tokens of every training step in a few kilobytes: histograms of what is known of them, and means by weight.

These are what the figures of ``kawhi tokens`` draw, of the signals that the credit method has in any case, beside the
entropy, which verl computes for every method.  ``kawhi explain RUN_DIR`` draws them over the steps.
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kawhi.base.files import write_atomically
from kawhi.credit.kinds import kinds
from kawhi.credit.measures import WEIGHT, Measure, known

Values = NDArray[np.float64]


def write_tokens(
    step: int,
    signals: Mapping[str, Sequence[Tensor]],
    weights: Sequence[Tensor],
    *,
    groups: Sequence[Hashable],
    correct: Tensor | None,
) -> None:
    """Writes :func:`summary` to ``<run directory>/train/tokens/<step>.json``; nothing outside the harness."""
    folder = os.environ.get("KAWHI_RUN_DIR")
    if folder is None:
        return
    found = summary(signals, weights, groups, correct)
    text = json.dumps({"step": step, **found}, separators=(",", ":"))
    write_atomically(Path(folder) / "train" / "tokens" / f"{step:06d}.json", text + "\n")


def summary(
    signals: Mapping[str, Sequence[Tensor]],
    weights: Sequence[Tensor],
    groups: Sequence[Hashable],
    correct: Tensor | None,
) -> dict[str, Any]:
    """What is kept of a step's tokens.

    Args:
        signals: name -> one ``(T,)`` per response.
        weights: one ``(T,)`` per response.
        groups: prompt of each response.
        correct: ``(B,)`` the verdicts; ``None`` where nobody gave any.

    Returns:
        ``histograms``, of each measure of :mod:`kawhi.credit.measures` and of the weight: ``low``, ``high``, ``counts``
        in equal bins, and ``zero``, how many tokens are exactly 0.  ``all``: ``responses``, ``tokens``, the mean
        ``weight``, the ``mean`` of each measure, and its mean by weight (``weighted``; empty where weights add up to
        nothing).  Where nucleus entropy and log-prob difference are known, ToR's kinds of tokens stand among the
        measures, so that their means are shares.  ``by_right``: the same for the groups with ``right`` right responses
        ``of`` so many; empty without verdicts.

    Raises:
        RuntimeError: a measure is not finite: the model or a pass is broken.
    """
    flat = {name: torch.cat(list(rows)) for name, rows in signals.items()}
    weight = torch.cat(list(weights)).double().numpy()
    measured = known(flat)
    values = {name: measure.sizes(flat).double().numpy() for name, measure in measured.items()}
    for name, own in values.items():
        if not np.isfinite(own).all():
            raise RuntimeError(
                f"{(~np.isfinite(own)).sum()} of {own.size} tokens have no finite {measured[name].words}"
            )
    histograms = {name: _histogram(values[name], measure) for name, measure in measured.items()}
    if {"nucleus_entropy", "logp_diff"} <= values.keys():
        values |= kinds(values["nucleus_entropy"], values["logp_diff"])
    parts, classes = _by_right(groups, correct)
    lengths = [len(row) for row in weights]
    rows = _parts(values, weight, np.repeat(parts, lengths), np.bincount(parts))
    return {
        "histograms": {**histograms, "weight": _histogram(weight, WEIGHT)},
        "all": _means(rows.sum(axis=0), list(values)),
        "by_right": [
            {"right": right, "of": of, **_means(own, list(values))}
            for (right, of), own in zip(classes, rows, strict=bool(classes))
        ],
    }


def _histogram(values: Values, measure: Measure) -> dict[str, Any]:
    within = np.clip(values, measure.low, measure.high)
    counts, _ = np.histogram(within, measure.bins, (measure.low, measure.high))
    return {"low": measure.low, "high": measure.high, "counts": counts.tolist(), "zero": int((values == 0).sum())}


def _by_right(groups: Sequence[Hashable], correct: Tensor | None) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """``(B,)`` which class each response's group is in, and of each class how many responses are right, of how many.

    Without verdicts one class of all responses, which is not named.
    """
    if correct is None:
        return np.zeros(len(groups), np.int64), []
    number = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    own = np.array([number[group] for group in groups])
    right = np.bincount(own, correct.double().numpy()).round().astype(int)
    classes, part = np.unique(np.stack([right, np.bincount(own)], axis=1), axis=0, return_inverse=True)
    return part.reshape(-1)[own], [(int(r), int(of)) for r, of in classes]


def _parts(
    values: Mapping[str, Values], weight: Values, parts: NDArray[np.int64], responses: NDArray[np.int64]
) -> Values:
    """``(C, 3 + 2 M)`` sums of each class: responses, tokens, weight, the M measures, and these times the weight."""

    def summed(of: Values | None) -> Values:
        return np.bincount(parts, of, minlength=len(responses)).astype(np.float64)

    plain = [summed(own) for own in values.values()]
    weighted = [summed(own * weight) for own in values.values()]
    return np.stack([responses, summed(None), summed(weight), *plain, *weighted], axis=1)


def _means(sums: Values, names: Sequence[str]) -> dict[str, Any]:
    responses, tokens, weight = sums[:3].tolist()
    plain, weighted = np.split(sums[3:], 2)
    return {
        "responses": int(responses),
        "tokens": int(tokens),
        "weight": round(weight / max(tokens, 1), 6),
        "mean": _divided(names, plain, tokens),
        "weighted": _divided(names, weighted, weight),
    }


def _divided(names: Sequence[str], sums: Values, by: float) -> dict[str, float]:
    """Empty where there is nothing to divide by."""
    return {name: round(own / by, 6) for name, own in zip(names, sums.tolist(), strict=True)} if by > 0 else {}
