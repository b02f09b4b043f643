"""How far two judges agree on the same responses, and how far a judge agrees with the rule: Cohen's kappa.

Only samples that a judge was asked about are counted: where the rule alone decides, two runs agree by construction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kawhi.base.errors import CellError
from kawhi.evaluation.samples import Sample, verdict_of

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
        interval: 95 %, asymptotic (Fleiss, Cohen and Everitt 1969); ``None`` where kappa is undefined, and where its
            estimated variance is 0 (as where the raters agree on every sample), which says nothing about how sure the
            agreement is.
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
    decided = (sample for sample in samples if sample.replies and sample.verdict in VERDICTS)
    return [(verdict_of(sample.rule_score), sample.verdict) for sample in decided]


def agreement(pairs: Sequence[tuple[str, str]]) -> Agreement:
    """Observed agreement and Cohen's kappa of two raters.

    Args:
        pairs: verdicts of the first and the second rater on each sample; at least one.
    """
    from sklearn.metrics import confusion_matrix
    from statsmodels.stats.inter_rater import cohens_kappa

    first, second = zip(*pairs, strict=True)
    used = tuple(verdict for verdict in VERDICTS if verdict in {*first, *second})
    if len(used) == 1:
        return Agreement(used, np.array([[len(pairs)]]), None, None)
    table = confusion_matrix(first, second, labels=list(used))
    with np.errstate(invalid="ignore"):  # the root of a variance that rounding makes negative
        found = cohens_kappa(table)
    kappa, variance = float(found.kappa), float(found.var_kappa)
    if variance < 1e-15:  # rounding around a variance of 0
        return Agreement(used, table, kappa, None)
    half = NORMAL_95 * math.sqrt(variance)
    return Agreement(used, table, kappa, (max(-1.0, kappa - half), min(1.0, kappa + half)))
