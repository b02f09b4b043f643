"""A run judged again: its responses, another judge, another run directory and record.

The judge is a part of a cell's identity, so the verdicts of another judge belong to another cell.  Nothing is
generated: no accelerator, data set or checkpoint is needed.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kawhi.base.errors import CellError, sentence
from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import STAGES, evaluates
from kawhi.data.schema import atomically
from kawhi.evaluation.benchmark import load
from kawhi.evaluation.judge_server import judging, preflight
from kawhi.evaluation.results import SAMPLES, SCORE, samples_of, score_of
from kawhi.evaluation.samples import Sample, write_samples
from kawhi.evaluation.scoring import score as score_samples
from kawhi.evaluation.task_runs import task_runs
from kawhi.runs.cell import Status
from kawhi.runs.identity import directory_of
from kawhi.runs.record import record
from kawhi.runs.rescore import in_its_place, outdated, rescore

ORIGIN = "rejudged.json"
"""In the new run directory: which run its responses are from."""

JUDGED = ("judge", "errors")
"""Folders in ``eval/<task>`` that follow from the run's own judge: its replies, and the errors in wrong answers."""


@dataclass
class Rejudged:
    """What came of it.

    Attributes:
        run: the run directory of the other judge.
        already: whether it was there before, complete.
        scores: task -> score before (``None`` where the first run had none) and after.
    """

    run: RunDirectory
    already: bool
    scores: dict[str, tuple[float | None, float]] = field(default_factory=dict)


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


def rejudge(run: RunDirectory, judge: DictConfig, overrides: Sequence[str] = ()) -> Rejudged:
    """Judges the responses of a run by another judge.  When it was interrupted, the same call goes on.

    By the run's own judge, or by one whose run is finished, where the rules have changed since: in that run.

    Args:
        run: with the responses to all its benchmarks, judged or not.
        judge: the block of the configuration.
        overrides: that give this judge, for the record's command.

    Raises:
        CellError: the responses are not complete, the judge failed, or another process is at work.
    """
    cell = judged_cell(run, judge)
    _refuse_unjudged(run, cell)
    target = directory_of(cell)
    if target.record.exists():
        return _by_todays_rules(target, cell)
    _refuse(run, target, cell)
    preflight(OmegaConf.to_container(cell.judge, resolve=True))
    with target.locked(), Status(target, cell.steps).until("done") as status:
        status.set("evaluate")
        copy_responses(run, target, cell, overrides)
        scores = _judge_all(run, target, cell)
        start = time.monotonic()
        record(cell, target)
        write_json(target.stage("record"), {"seconds": round(time.monotonic() - start, 3)})
    return Rejudged(target, already=False, scores=scores)


def _by_todays_rules(run: RunDirectory, cell: DictConfig) -> Rejudged:
    """A finished run of this judge, who is asked what the rules ask today and did not when it was judged."""
    if not outdated(run):
        return Rejudged(run, already=True)
    preflight(OmegaConf.to_container(cell.judge, resolve=True))
    with judging(cell.judge, log=run.log("judge")) as judge:
        done = rescore(run, judge)
    if done.failures:
        raise CellError("; ".join(done.failures))
    return Rejudged(run, already=False, scores={**done.scores})


def judged_cell(run: RunDirectory, judge: DictConfig) -> DictConfig:
    """The run's configuration with another judge; of a run that was moved, with paths that moved along.

    Raises:
        CellError: the judge's block refers to what the run's configuration does not have.
    """
    cell = run.load_config()
    cell.judge = OmegaConf.to_container(judge, resolve=False)
    try:
        OmegaConf.resolve(cell)
    except OmegaConfBaseException as error:
        raise CellError(f"the judge's settings do not fit this run: {sentence(error)}") from error
    return in_its_place(run, cell)


def _refuse_unjudged(run: RunDirectory, cell: DictConfig) -> None:
    if not evaluates(cell):
        raise CellError(f"{run.path} is a {cell.study.name} run: it has no benchmarks, so there is nothing to judge")
    if not any(load(each.task).judged for each in cell.benchmarks):
        raise CellError(f"no benchmark of {run.path} asks a judge: their scores are by rule")


def _refuse(run: RunDirectory, target: RunDirectory, cell: DictConfig) -> None:
    if target.path.resolve() == run.path.resolve():
        raise CellError(f"{run.path} has this judge already but is not finished: run its own command again")
    for stage in before_evaluation(cell):
        if not run.stage(stage).exists():
            raise CellError(f"{run.path} has not finished its stage {stage}: run its own command again first")
    for each in cell.benchmarks:
        entry: Any = OmegaConf.to_container(each, resolve=True)
        expected = sum(part.problems for part in task_runs(entry))
        if (found := len(samples_of(run, each.task))) != expected:
            raise CellError(f"{run.path} has {found} of {expected} responses to {each.task}: finish it first")
    if target.config.exists():
        origin = target.path / ORIGIN
        if not origin.exists():
            raise CellError(f"{target.path} is a run of this judge with responses of its own: run its command again")
        begun = json.loads(origin.read_text())["from"]
        if begun != _name(run):
            raise CellError(f"{target.path} was begun with the responses of {begun}: rejudge that run to finish it")


def before_evaluation(cell: DictConfig) -> tuple[str, ...]:
    """The stages that a rejudged run has from the first one."""
    stages = STAGES[cell.study.name]
    return stages[: stages.index("evaluate")]


def _name(run: RunDirectory) -> str:
    return f"{run.path.resolve().parent.name}/{run.path.resolve().name}"


def copy_responses(run: RunDirectory, target: RunDirectory, cell: DictConfig, overrides: Sequence[str]) -> None:
    """Everything of a run but its weights, verdicts, scores and record; what was copied before stays as it is."""
    write_json(target.path / ORIGIN, {"from": _name(run)})
    target.save_config(cell, _other_judge(run, overrides))
    stages = [run.stage(stage) for stage in before_evaluation(cell)]
    metrics = sorted((run.path / "train").glob("metrics-*.jsonl"))
    for source in (run.path / "data.json", *metrics, run.merge_report, *stages):
        if source.exists():
            _copy(source, target.path / source.relative_to(run.path))
    for each in cell.benchmarks:
        folder, to = run.evaluation(each.task), target.evaluation(each.task)
        if (to / SAMPLES).exists():
            continue  # perhaps judged in part
        for source in filter(Path.is_file, sorted(folder.rglob("*"))):
            name = source.relative_to(folder)
            # A dot: left by a writer that was killed.
            if name.parts[0] not in (SAMPLES, SCORE, *JUDGED) and not any(part[0] == "." for part in name.parts):
                _copy(source, to / name)
        write_samples(to / SAMPLES, [without_verdict(sample) for sample in samples_of(run, each.task)])


def _other_judge(run: RunDirectory, overrides: Sequence[str]) -> list[str] | None:
    """The run's own overrides with another judge; ``None`` where either is not known."""
    if not overrides or not run.overrides.exists():
        return None
    own = json.loads(run.overrides.read_text())
    return [*(each for each in own if not re.match(r"[+~]*judge[.=@]", each)), *overrides]


def _copy(source: Path, to: Path) -> None:
    with atomically(to) as temporary:
        shutil.copyfile(source, temporary)


def without_verdict(sample: Sample) -> Sample:
    """As before any judge saw it."""
    return replace(sample, score=None, extraction="", parts={}, replies=[])


def _judge_all(run: RunDirectory, target: RunDirectory, cell: DictConfig) -> dict[str, tuple[float | None, float]]:
    """Scores every benchmark that has no score yet; score before and after of all."""
    start = time.monotonic()
    missing = [each.task for each in cell.benchmarks if score_of(target, each.task) is None]
    if missing:
        with judging(cell.judge, log=target.log("judge")) as judge:
            for number, task in enumerate(missing, 1):
                print(f"[{number}/{len(missing)}] {task}", flush=True)
                score_samples(target.evaluation(task), load(task), judge)
    write_json(target.stage("evaluate"), {"seconds": round(time.monotonic() - start, 3)})
    scores = {}
    for each in cell.benchmarks:
        before, after = score_of(run, each.task), score_of(target, each.task)
        if after is None:
            raise CellError(f"{each.task} has no score after it was judged; run the same command again")
        scores[each.task] = None if before is None else before["score"], after["score"]
    return scores
