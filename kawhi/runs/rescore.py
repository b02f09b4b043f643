"""Scores made anew by today's rules from what is stored: responses, facts and the judge's replies.

No model and no data set is needed, and no judge where the questions to it are what they were.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.evaluation.benchmark import load
from kawhi.evaluation.judge import Judge, KeptReplies
from kawhi.evaluation.judge_settings import JudgeSettings
from kawhi.evaluation.results import SCORE
from kawhi.evaluation.rules import rules_of
from kawhi.evaluation.scoring import score_again
from kawhi.runs.record import benchmark_part, record_file


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


def outdated(evaluation: RunDirectory) -> bool:
    """Whether other rules made the score of a finished evaluation than today's.

    Raises:
        CellError: it is not finished.
    """
    if not evaluation.record.exists():
        raise CellError(f"{evaluation.path} is not finished: run its own command again")
    return json.loads(evaluation.record.read_text())["result"].get("rules") != rules_of(evaluation.task)


def rescore(evaluation: RunDirectory, judge: Judge | None = None) -> tuple[float, float]:
    """Makes a score anew where its rules have changed; before and after.  An interrupted call goes on when repeated.

    Args:
        judge: is asked what its kept replies do not answer; without one the evaluation's own, of whom nothing is asked.

    Raises:
        CellError: the evaluation is not finished, or cannot be scored; its old score stays.
    """
    cell = evaluation.load_config()
    judge = judge or kept_judge(cell.get("judge") if load(evaluation.task).judged else None)
    content = json.loads(evaluation.record.read_text()) if outdated(evaluation) else {}
    _, after = rescore_folder(evaluation.path, evaluation.task, judge)
    if not content:
        return after, after
    before = content["result"]["score"]
    content["result"] = benchmark_part(evaluation.path, content["result"]["title"], content["task"])
    write_json(record_file(in_its_place(evaluation, cell), content), content)
    write_json(evaluation.record, content)
    return before, after


def in_its_place(evaluation: RunDirectory, cell: DictConfig) -> DictConfig:
    """The evaluation's configuration; of one that was moved, with paths that moved along."""
    is_at, was_at = evaluation.evaluated.path.resolve().parents[1], Path(cell.paths.runs).resolve()
    for name in cell.paths:
        moved = os.path.relpath(Path(cell.paths[name]).resolve(), was_at)
        cell.paths[name] = os.path.normpath(is_at / moved)
    return cell
