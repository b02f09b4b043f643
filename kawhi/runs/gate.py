"""The baseline gate: is the untrained model's score the paper's, before a table's training starts?

A score that a correct evaluation would hardly give means that something in the evaluation differs from the paper's:
prompts, decoding, the judge.  No gain measured on top of it says anything about the paper.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import NormalDist

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import evaluates, trains


@dataclass(frozen=True)
class Finding:
    """One benchmark of an untrained model against the paper.  Scores in percent.

    Attributes:
        low, high: interval that our score should be in.
    """

    model: str
    task: str
    score: float
    paper: float
    low: float
    high: float

    @property
    def passed(self) -> bool:
        return self.low <= self.score <= self.high

    def __str__(self) -> str:
        inside = f"{'is in' if self.passed else 'is outside'} [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.model} on {self.task}: {self.score:.2f} {inside}, paper {self.paper:.2f}"


def interval(paper: float, n: float, confidence: float) -> tuple[float, float]:
    """Where a second measurement of the paper's score lies, both with ``n`` independent problems.

    The difference of two independent shares has the variance 2 p (1 - p) / n; the paper prints no interval of its own.

    Args:
        paper: in percent.
        confidence: in (0, 1).

    Raises:
        CellError: ``paper`` is no percentage.
    """
    if not 0 <= paper <= 100:
        raise CellError(f"gate.scores has {paper}, which is no percentage: benchmarks in points have no gate")
    share = paper / 100
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * sqrt(2 * share * (1 - share) / n)
    return 100 * max(0.0, share - half), 100 * min(1.0, share + half)


def gated(cell: DictConfig) -> bool:
    """Whether a cell may only train after its model's baseline was found to be right."""
    return trains(cell) and evaluates(cell) and bool(_expected(cell))


def findings(cell: DictConfig, baseline: Sequence[RunDirectory]) -> list[Finding]:
    """The records of an untrained model's evaluations against the scores that ``cell.gate`` expects."""
    records = {each.task: json.loads(each.record.read_text()) for each in baseline}
    found = []
    for task, paper in _expected(cell).items():
        measured = records[task]["result"]
        low, high = interval(paper, measured.get("effective") or measured["problems"], cell.gate.confidence)
        found.append(Finding(cell.model.name, task, measured["score"], paper, low, high))
    return found


def compare(cell: DictConfig, baseline: Sequence[RunDirectory]) -> None:
    """Prints the findings.

    Raises:
        CellError: a score outside its interval, and ``gate.stop``.
    """
    settle(findings(cell, baseline), cell.gate.stop, baseline[0].path.parent)


def settle(found: Sequence[Finding], stop: bool, where: Path) -> None:
    """Prints findings.

    Raises:
        CellError: ``stop``, and a score outside its interval.
    """
    print("\n".join(str(finding) for finding in found), flush=True)
    if stop:
        refuse(found, where)


def refuse(found: Sequence[Finding], where: Path) -> None:
    """Raises:
    CellError: a score outside its interval.
    """
    if failed := [str(finding) for finding in found if not finding.passed]:
        raise CellError(
            f"the untrained model does not have the paper's score, so nothing is trained: {'; '.join(failed)} "
            f"(samples: {where}); find out why, or set gate.stop=false to go on"
        )


def _expected(cell: DictConfig) -> Mapping[str, float]:
    asked = {benchmark.task for benchmark in cell.benchmarks}
    scores = cell.gate.scores.get(cell.model.name) or {}
    return {task: float(score) for task, score in scores.items() if task in asked}
