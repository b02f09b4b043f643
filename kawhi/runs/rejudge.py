"""Responses judged again: the same ones, another judge, another evaluation of the same model beside the first.

The judge is a part of an evaluation's identity.  Nothing is generated: no accelerator, data set or checkpoint of the
trained model is needed.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kawhi.base.errors import CellError, sentence
from kawhi.base.files import write_json
from kawhi.base.made_by import launch_note
from kawhi.base.rundir import RunDirectory
from kawhi.evaluation.benchmark import load
from kawhi.evaluation.judge import Judge
from kawhi.evaluation.judge_server import judging, preflight
from kawhi.evaluation.responses_again import copy_responses
from kawhi.evaluation.results import GENERATION, SCORE, score_of
from kawhi.evaluation.scoring import score as score_samples
from kawhi.records.hashing import config_hash
from kawhi.runs.identity import evaluation_identity
from kawhi.runs.record import record_evaluation
from kawhi.runs.rescore import in_its_place, outdated, rescore


@dataclass
class Rejudged:
    """What came of it.

    Attributes:
        evaluations: of the other judge.
        already: whether they were there before, complete.
        scores: by task, or by the evaluation's name where there are several of a task: the score before (``None`` where
            the first judge gave none) and after.
    """

    evaluations: list[RunDirectory]
    already: bool
    scores: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)


def judge_config(conf: Path, name: str, overrides: list[str]) -> DictConfig:
    """The block ``judge`` of ``conf/judge/<name>.yaml``.

    Args:
        overrides: ``key=value`` of the block.

    Raises:
        CellError: no such judge, or no such key.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    known = sorted(file.stem for file in (conf / "judge").glob("*.yaml"))
    if name not in known:
        raise CellError(f"there is no judge {name}; conf/judge has {', '.join(known) or 'none'}")
    _, *words = judge_overrides(name, overrides)
    try:
        with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
            block = compose(f"judge/{name}").judge
            if block is None:
                others = ", ".join(each for each in known if each != name)
                raise CellError(f"{name} is no judge: choose one of {others}")
            keys = [re.split("[=.]", word)[1] for word in words]
            if unknown := [key for key in keys if key not in block]:
                raise CellError(f"the judge {name} has no {', '.join(unknown)}; it has {', '.join(block)}")
            return compose(f"judge/{name}", overrides=words).judge
    except HydraException as error:
        raise CellError(sentence(error)) from error


def judge_overrides(name: str, settings: Sequence[str]) -> list[str]:
    """What ``experiments/run.py`` is given for a judge of ``conf/judge`` with other values of its settings."""
    return [f"judge={name}", *(f"judge.{each.removeprefix('judge.')}" for each in settings)]


def rejudge(evaluations: Sequence[RunDirectory], judge: DictConfig, overrides: Sequence[str] = ()) -> Rejudged:
    """Judges responses by another judge.  When it was interrupted, the same call goes on.

    By a judge who has judged them all, where the rules have changed since: only what is asked today and was not then.

    Args:
        evaluations: of one model, with all their responses, judged or not.
        judge: the block of the configuration.
        overrides: that give this judge, for the record's command.

    Raises:
        CellError: the responses are not complete, the judge failed, or another process is at work.
    """
    judged = [each for each in evaluations if load(each.task).judged]
    if not judged:
        raise CellError(f"no benchmark of {evaluations[0].evaluated.path} asks a judge: their scores are by rule")
    cells = {each: judged_cell(each, judge) for each in judged}
    targets = {each: _target(each, cell) for each, cell in cells.items()}
    for each, target in targets.items():
        _refuse(each, target)
    missing = [each for each, target in targets.items() if not target.record.exists()]
    again = [target for target in targets.values() if target.record.exists() and outdated(target)]
    if not missing and not again:
        return Rejudged([*targets.values()], already=True)
    run, block = judged[0].evaluated, cells[judged[0]].judge
    preflight(OmegaConf.to_container(block, resolve=True))
    before = {each: score_of(targets[each] if each not in missing else each) for each in judged}
    with run.locked(), judging(block, log=run.log("judge")) as server:
        for each in missing:
            _begin(each, targets[each], cells[each], overrides)
        _judge(server, [targets[each] for each in missing])
        for target in again:
            rescore(target, server)
    several = len({each.task for each in judged}) < len(judged)
    names = {each: each.path.name if several else each.task for each in judged}
    scores = {names[each]: (_number(before[each]), _number(score_of(targets[each]))) for each in judged}
    return Rejudged([*targets.values()], already=False, scores=scores)


def judged_cell(evaluation: RunDirectory, judge: DictConfig) -> DictConfig:
    """The evaluation's configuration with another judge; of one that was moved, with paths that moved along.

    Raises:
        CellError: the judge's block refers to what the evaluation's configuration does not have.
    """
    cell = evaluation.load_config()
    cell.judge = OmegaConf.to_container(judge, resolve=False)
    try:
        OmegaConf.resolve(cell)
    except OmegaConfBaseException as error:
        raise CellError(f"the judge's settings do not fit this evaluation: {sentence(error)}") from error
    return in_its_place(evaluation, cell)


def _target(evaluation: RunDirectory, cell: DictConfig) -> RunDirectory:
    own = evaluation.evaluated.path.name.rpartition("-")[2]
    found = config_hash(evaluation_identity(cell, cell.benchmarks[0], own))
    return evaluation.evaluated.evaluation(f"{evaluation.task}-{found}")


def _refuse(evaluation: RunDirectory, target: RunDirectory) -> None:
    if target == evaluation and not target.record.exists():
        raise CellError(f"{evaluation.path} has this judge already but is not finished: run its own command again")
    if not (evaluation.path / GENERATION).exists():
        raise CellError(f"{evaluation.path} does not have all responses: finish it first")


def _begin(evaluation: RunDirectory, target: RunDirectory, cell: DictConfig, overrides: Sequence[str]) -> None:
    target.save_config(cell, _other_judge(evaluation, overrides))
    target.add_launch(launch_note("evaluate"))
    if not (target.path / GENERATION).exists():
        copy_responses(evaluation, target)


def _other_judge(evaluation: RunDirectory, overrides: Sequence[str]) -> list[str] | None:
    """The evaluation's own overrides with another judge; ``None`` where either is not known."""
    if not overrides or not evaluation.overrides.exists():
        return None
    own = json.loads(evaluation.overrides.read_text())
    return [*(each for each in own if not re.match(r"[+~]*judge[.=@]", each)), *overrides]


def _judge(judge: Judge | None, targets: Sequence[RunDirectory]) -> None:
    """Scores and records each; those that have a score already are only recorded."""
    unscored = [each for each in targets if not (each.path / SCORE).exists()]
    for number, each in enumerate(unscored, 1):
        print(f"[{number}/{len(unscored)}] {each.task}", flush=True)
        start = time.monotonic()
        score_samples(each.path, load(each.task), judge)
        write_json(each.stage("score"), {"seconds": round(time.monotonic() - start, 3), "memory_gib": None})
    for each in targets:
        record_evaluation(each)


def _number(score: dict[str, Any] | None) -> float | None:
    return None if score is None else score["score"]
