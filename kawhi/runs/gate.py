"""The baseline gate: is the untrained model's score the paper's, before a table's training starts?

A score that a correct evaluation would hardly give means that something in the evaluation differs from the paper's:
prompts, decoding, the judge.  No gain measured on top of it says anything about the paper.

A gate has the scores of one paper, the one whose tables its benchmarks are.  Two kinds of scores stop nothing: one that
another paper prints for the same model (``gate.elsewhere``), where the two exclude each other, and whatever stands
where the paper's own number cannot be right (``gate.doubted``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import evaluates, trains


@dataclass(frozen=True)
class Finding:
    """One benchmark of an untrained model against the paper.  Scores in percent.

    Attributes:
        paper: the score that it prints.
        low, high: interval that our score should be in.
        source: whose score that is; empty where nobody says.
        excuse: why a score outside is a warning and stops nothing; empty where it stops.
    """

    model: str
    task: str
    score: float
    paper: float
    low: float
    high: float
    source: str = ""
    excuse: str = ""

    @property
    def passed(self) -> bool:
        return self.low <= self.score <= self.high

    @property
    def stops(self) -> bool:
        """Whether nothing may be trained from the model."""
        return not self.passed and not self.excuse

    def __str__(self) -> str:
        inside = f"{'is in' if self.passed else 'is outside'} [{self.low:.2f}, {self.high:.2f}]"
        whose = f" ({self.source})" if self.source else ""
        warning = f"; warning: {self.excuse}" if self.excuse and not self.passed else ""
        return f"{self.model} on {self.task}: {self.score:.2f} {inside}, paper {self.paper:.2f}{whose}{warning}"


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
    """The records of an untrained model's evaluations against the scores that the gate of ``cell`` expects.

    ``gate.confidence`` is that of the whole baseline: when every score is a second measurement of the paper's, all of
    them are inside so often.  Scores that cannot stop anything have no part in it.

    Args:
        cell: which is to be trained, or the untrained model itself; what its own gate does not know of an evaluation,
            that evaluation's does.
    """
    asked = [(each, gate) for each in baseline if (gate := _gate_of(cell, each)) is not None]
    counted = sum(each.task not in _of_model(gate.get("doubted"), cell) for each, gate in asked)
    return [_finding(cell, gate, each, gate.confidence ** (1 / max(1, counted))) for each, gate in asked]


def _gate_of(cell: DictConfig, evaluation: RunDirectory) -> DictConfig | None:
    """The gate that knows the score of an evaluation, the cell's before the one that the evaluation was saved with."""
    for gate in (cell.gate, evaluation.load_config().gate if evaluation.config.exists() else None):
        if gate is not None and evaluation.task in _of_model(gate.scores, cell):
            return gate
    return None


def _finding(cell: DictConfig, gate: DictConfig, evaluation: RunDirectory, confidence: float) -> Finding:
    task, measured = evaluation.task, json.loads(evaluation.record.read_text())["result"]

    def around(paper: float) -> tuple[float, float]:
        return interval(paper, measured.get("effective") or measured["problems"], confidence)

    paper, excuse = float(_of_model(gate.scores, cell)[task]), _of_model(gate.get("doubted"), cell).get(task, "")
    for source, scores in (gate.get("elsewhere") or {}).items():
        other = _of_model(scores, cell).get(task)
        if other is not None and around(other)[0] <= measured["score"] <= around(other)[1]:
            excuse = excuse or f"{source} prints {other:.2f} for the same model, and no evaluation gives both"
    return Finding(cell.model.name, task, measured["score"], paper, *around(paper), gate.get("paper") or "", excuse)


def compare(cell: DictConfig, baseline: Sequence[RunDirectory]) -> None:
    """Prints the findings.

    Raises:
        CellError: a score outside its interval, and ``gate.stop``.
    """
    found = findings(cell, baseline)
    print("\n".join(map(str, found)), flush=True)
    if cell.gate.stop:
        refuse(found, baseline[0].path.parent)


def refuse(found: Sequence[Finding], where: Path) -> None:
    """Raises:
    CellError: a score outside its interval that has no excuse.
    """
    if failed := [str(finding) for finding in found if finding.stops]:
        raise CellError(
            f"the untrained model does not have the paper's score, so nothing is trained from it: {'; '.join(failed)} "
            f"(samples: {where}); find out why, or set gate.stop=false to go on"
        )


def _expected(cell: DictConfig) -> Mapping[str, float]:
    asked = {benchmark.task for benchmark in cell.benchmarks}
    return {task: score for task, score in _of_model(cell.gate.scores, cell).items() if task in asked}


def _of_model(entries: Mapping[str, Any] | None, cell: DictConfig) -> Mapping[str, Any]:
    """What a gate says of the cell's model, by task."""
    return (entries or {}).get(cell.model.name) or {}
