"""Which heads does a model see with?  MME's 14 subtasks with each head switched off in all layers (figure 3).

A head is vision-critical when MME's total falls by more than a threshold without it.  What runs the model is
:mod:`kawhi.probes.head_ablation`; this module only counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kawhi.evaluation.benchmarks.mme import COGNITION, PERCEPTION

THRESHOLD = 100.0
"""Points of MME; the paper's section 3.3.  The authors' page says 50."""

SUBTASKS = (*PERCEPTION, *COGNITION)
"""14; each is worth 200 points."""

GUESSING = 75.0 * len(SUBTASKS)
"""Expected total of a coin: half of the questions are right, and a quarter of the pairs.  Always the same answer gives
50 per subtask, because no pair is right."""


@dataclass(frozen=True)
class HeadResult:
    """MME without one head.

    Attributes:
        head: index of the head that is off in every decoder layer; ``None`` for the whole model.
        subtasks: points of each of the 14 subtasks, in [0, 200].
        pairs: image -> its points, by subtask: what the subtask's points are the mean of.
        unreadable: responses that say neither yes nor no.
    """

    head: int | None
    subtasks: Mapping[str, float]
    pairs: Mapping[str, Mapping[str, float]]
    unreadable: int

    @property
    def total(self) -> float:
        """Points of 2800."""
        return sum(self.subtasks.values())


def pair_points(scores: Iterable[tuple[str, str, float]]) -> dict[str, dict[str, float]]:
    """Subtask -> image -> points: 100 times the accuracy, and 100 more when both questions are right.

    Args:
        scores: (subtask, image, 0 or 1) of every question.

    Raises:
        ValueError: an image without exactly two questions.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for subtask, image, score in scores:
        found.setdefault(subtask, {}).setdefault(image, []).append(score)
    points: dict[str, dict[str, float]] = {}
    for subtask, images in found.items():
        for image, pair in images.items():
            if len(pair) != 2:
                raise ValueError(f"{image} has {len(pair)} question(s); MME scores pairs")
            points.setdefault(subtask, {})[image] = 50 * sum(pair) + 100 * (min(pair) == 1)
    return points


def check_questions(questions: Sequence[tuple[str, str, str]]) -> None:
    """Whether these can be MME's.

    Args:
        questions: (subtask, image, answer) of every question.

    Raises:
        ValueError: an unknown or absent subtask, an image without exactly two questions, an answer that is
            neither Yes nor No.
    """
    for _, image, answer in questions:
        if answer.strip().rstrip(".").lower() not in ("yes", "no"):
            raise ValueError(f"the answer {answer!r} of {image} is neither Yes nor No")
    present = set(pair_points((subtask, image, 0.0) for subtask, image, _ in questions))
    if odd := sorted(present ^ set(SUBTASKS)):
        raise ValueError(f"MME has 14 subtasks; unknown or absent here: {', '.join(odd)}")


def summary(whole: HeadResult, heads: Sequence[HeadResult], threshold: float = THRESHOLD) -> dict[str, Any]:
    """What ``heads.json`` says: every head's points, its drop with a 95 % interval, and the critical heads."""
    rows = []
    for result in sorted(heads, key=lambda each: each.head or 0):
        drop = whole.total - result.total
        low, high = drop_interval(whole, result)
        rows.append(
            {
                "head": result.head,
                "total": round(result.total, 4),
                "drop": round(drop, 4),
                "drop_interval": [round(low, 4), round(high, 4)],
                "critical": is_critical(drop, threshold),
                "unreadable": result.unreadable,
                "subtasks": {name: round(result.subtasks[name], 4) for name in SUBTASKS},
            }
        )
    return {
        "threshold": threshold,
        "baseline": {
            "total": round(whole.total, 4),
            "unreadable": whole.unreadable,
            "subtasks": {name: round(whole.subtasks[name], 4) for name in SUBTASKS},
        },
        "guessing": GUESSING,
        "pairs": {name: len(whole.pairs[name]) for name in SUBTASKS},
        "heads": rows,
        "critical_heads": [row["head"] for row in rows if row["critical"]],
    }


def is_critical(drop: float, threshold: float) -> bool:
    """ "Exceeding": a drop of exactly the threshold is none; rounding of the sums is not held against a head."""
    return drop > threshold + 1e-6


def drop_interval(whole: HeadResult, without: HeadResult, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap of the total's drop: images are drawn again within their subtasks, paired by image.

    It says what other images of the same kind could have given.  The paper's rule does not use it.
    """
    rng = np.random.default_rng(seed)
    drops: NDArray[np.float64] = np.zeros(resamples)
    for subtask, before in whole.pairs.items():
        after = without.pairs[subtask]
        lost = np.array([points - after[image] for image, points in before.items()])
        drops += rng.choice(lost, (resamples, len(lost))).mean(axis=1)
    low, high = np.percentile(drops, [2.5, 97.5])
    return float(low), float(high)


def configuration_line(found: Mapping[str, Any], command: str) -> str:
    """``critical_heads`` as ``conf/model/*.yaml`` takes it; ``null``, which is all heads, when no head is critical."""
    heads = found["critical_heads"]
    return f"critical_heads: {heads if heads else 'null'}   # measured: {command}"
