"""Scores made anew by today's rules from what is stored: responses, facts and the judge's replies.

No model and no data set is needed, and no judge where the questions to it are what they were.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import evaluates
from kawhi.evaluation.benchmark import load
from kawhi.evaluation.judge import Judge, KeptReplies
from kawhi.evaluation.judge_settings import JudgeSettings
from kawhi.evaluation.results import SCORE
from kawhi.evaluation.rules import rules_of
from kawhi.evaluation.scoring import score_again
from kawhi.runs.record import benchmark_part, record_file


@dataclass
class Rescored:
    """What came of it.

    Attributes:
        scores: task -> score before and after, of the benchmarks whose rules have changed.
        failures: a sentence for each that has no new score; its old one stays.
    """

    scores: dict[str, tuple[float, float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def kept_judge(block: Mapping[str, Any] | None) -> Judge | None:
    """Who judged by the block ``judge`` of a configuration, as far as he was asked; ``None`` where nobody did."""
    return None if block is None else KeptReplies(JudgeSettings.from_config({**block, "base_url": "unused"}))


def rescore_folder(folder: Path, task: str, judge: Judge | None) -> tuple[float, float]:
    """Scores one evaluation by today's rules, unless it is; score before and after.

    Raises:
        CellError: it cannot be scored, or a question to the judge has no reply yet; all stays as it was.
    """
    before = json.loads((folder / SCORE).read_text())
    if before.get("rules") == rules_of(task):
        return before["score"], before["score"]
    return before["score"], score_again(folder, load(task), judge)["score"]


def outdated(run: RunDirectory) -> list[str]:
    """The benchmarks of a finished run whose scores other rules made than today's.

    Raises:
        CellError: the run is not finished, or has no benchmarks.
    """
    cell = run.load_config()
    if not evaluates(cell):
        raise CellError(f"{run.path} is a {cell.study.name} run: it has no benchmarks, so there is nothing to score")
    if not run.record.exists():
        raise CellError(f"{run.path} is not finished: run its own command again")
    found = json.loads(run.record.read_text()).get("benchmarks", {})
    return [task for task, result in found.items() if result.get("rules") != rules_of(task)]


def rescore(run: RunDirectory, judge: Judge | None = None) -> Rescored:
    """Makes the scores of a run anew where their rules have changed.  When it was interrupted, the same call goes on.

    Args:
        judge: is asked what its kept replies do not answer; without one the run's own, of whom nothing is asked.

    Raises:
        CellError: the run is not finished, has no benchmarks, or another process is at work.
    """
    cell, done = run.load_config(), Rescored()
    judge = judge or kept_judge(cell.get("judge"))
    with run.locked():
        content = json.loads(run.record.read_text()) if (tasks := outdated(run)) else {}
        for number, task in enumerate(tasks, 1):
            print(f"[{number}/{len(tasks)}] {task}", flush=True)
            try:
                _, after = rescore_folder(run.evaluation(task), task, judge)
            except CellError as error:
                done.failures.append(str(error))
                continue
            done.scores[task] = content["benchmarks"][task]["score"], after
            content["benchmarks"][task] = benchmark_part(run.evaluation(task), content["benchmarks"][task]["title"])
        if done.scores:
            write_json(record_file(in_its_place(run, cell), content), content)
            write_json(run.record, content)
    return done


def in_its_place(run: RunDirectory, cell: DictConfig) -> DictConfig:
    """The run's configuration; of a run that was moved, with paths that moved along."""
    is_at, was_at = run.path.resolve().parents[1], Path(cell.paths.runs).resolve()
    for name in cell.paths:
        moved = os.path.relpath(Path(cell.paths[name]).resolve(), was_at)
        cell.paths[name] = os.path.normpath(is_at / moved)
    return cell
