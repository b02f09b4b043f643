"""How far two judges agree on the same responses, and how far a judge agrees with the rule: Cohen's kappa.

Only samples that a judge was asked about are counted: where the rule alone decides, two runs agree by construction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kawhi.base.errors import CellError
from kawhi.evaluation.samples import Sample

VERDICTS = ("right", "wrong", "partly")
NORMAL_95 = 1.959964
"""97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class Agreement:
    """Two raters on the same samples.

    Attributes:
        verdicts: categories that at least one rater used, in the order of ``VERDICTS``.
        table: counts; rows are the first rater's verdicts, columns the second's.
        kappa: ``None`` where it is undefined: both raters say one and the same thing everywhere.
        interval: 95 %, asymptotic; ``None`` where kappa is undefined, and where its estimated variance is 0 (as where
            the raters agree on every sample), which says nothing about how sure the agreement is.
    """

    verdicts: tuple[str, ...]
    table: np.ndarray
    kappa: float | None
    interval: tuple[float, float] | None

    @property
    def n(self) -> int:
        return int(self.table.sum())

    @property
    def observed(self) -> float:
        """Share of samples on which both say the same."""
        return float(np.trace(self.table) / self.n)


@dataclass(frozen=True)
class Compared:
    """Two runs on one benchmark.

    Attributes:
        pairs: samples that both judges decided.
        by_rule: pairs that at least one judge was not asked about, not counted.
        undecided: pairs without a verdict in at least one run (judge error, or not judged yet), not counted.
        unpaired: samples that only one run has, not counted.
    """

    pairs: list[tuple[Sample, Sample]]
    by_rule: int
    undecided: int
    unpaired: int

    @property
    def disagreements(self) -> list[tuple[Sample, Sample]]:
        return [(a, b) for a, b in self.pairs if a.verdict != b.verdict]


def pair(first: Sequence[Sample], second: Sequence[Sample], names: tuple[str, str]) -> Compared:
    """The samples of two runs that can be compared, in the order of the first.

    Args:
        names: what the runs are called in the error's sentence.

    Raises:
        CellError: a sample has another response in the other run.
    """
    others = {sample.id: sample for sample in second}
    both = [(sample, others[sample.id]) for sample in first if sample.id in others]
    _refuse_other_responses(both, names)
    asked = [each for each in both if each[0].replies and each[1].replies]
    pairs = [each for each in asked if {each[0].verdict, each[1].verdict} <= set(VERDICTS)]
    return Compared(
        pairs=pairs,
        by_rule=len(both) - len(asked),
        undecided=len(asked) - len(pairs),
        unpaired=len(first) + len(second) - 2 * len(both),
    )


def _refuse_other_responses(both: Sequence[tuple[Sample, Sample]], names: tuple[str, str]) -> None:
    for a, b in both:
        if a.response != b.response:
            raise CellError(
                f"sample {a.id} has one response in {names[0]} and another in {names[1]}, and judges can only be "
                "compared on the same responses: make the second run from the first with `kawhi rejudge`"
            )


def rule_and_judge(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """Verdicts of the rule and of the judge on the samples that the judge decided."""
    return [
        (_verdict(sample.rule_score), sample.verdict)
        for sample in samples
        if sample.replies and sample.verdict in VERDICTS
    ]


def _verdict(score: float) -> str:
    return {0.0: "wrong", 1.0: "right"}.get(score, "partly")


def agreement(pairs: Sequence[tuple[str, str]]) -> Agreement:
    """Observed agreement and Cohen's kappa of two raters.

    Args:
        pairs: verdicts of the first and the second rater on each sample; at least one.
    """
    from sklearn.metrics import cohen_kappa_score, confusion_matrix

    first, second = zip(*pairs, strict=True)
    used = tuple(verdict for verdict in VERDICTS if verdict in {*first, *second})
    if len(used) == 1:
        return Agreement(used, np.array([[len(pairs)]]), None, None)
    table = confusion_matrix(first, second, labels=list(used))
    kappa = float(cohen_kappa_score(first, second, labels=list(used)))
    error = standard_error(table)
    interval = (max(-1.0, kappa - NORMAL_95 * error), min(1.0, kappa + NORMAL_95 * error)) if error else None
    return Agreement(used, table, kappa, interval)


def standard_error(table: np.ndarray) -> float:
    """Of kappa, for many samples: Fleiss, Cohen and Everitt, Large sample standard errors of kappa and weighted kappa,
    Psychological Bulletin 72 (1969), 323-327, the equation for a kappa that is not 0.

    Args:
        table: counts, raters along the axes.
    """
    n = table.sum()
    p = table / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    chance = float(rows @ columns)
    kappa = (float(np.trace(p)) - chance) / (1 - chance)
    diagonal = np.diag(p)
    same = float(np.sum(diagonal * (1 - (rows + columns) * (1 - kappa)) ** 2))
    crossed = (columns[:, None] + rows[None, :]) ** 2  # of cell (i, j): the second's share of i and the first's of j
    other = (1 - kappa) ** 2 * float(np.sum(p * crossed) - np.sum(diagonal * np.diag(crossed)))
    left = (kappa - chance * (1 - kappa)) ** 2
    variance = (same + other - left) / (n * (1 - chance) ** 2)
    return math.sqrt(max(variance, 0.0)) if variance > 1e-15 else 0.0  # rounding around a variance of 0
