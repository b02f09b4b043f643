"""One cell from its configuration to its record: prepare -> train -> merge -> evaluate -> record, or a shorter study.

Each stage is a child process with a time limit.  A stage that is done is not done again; a stage that was killed is.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kawhi.runs import health, resources
from kawhi.runs.identity import CellError
from kawhi.runs.processes import Ended, end_stragglers, last_error, run
from kawhi.runs.record import BASE_REWARD
from kawhi.runs.rundir import RunDirectory, write_json
from kawhi.runs.stage import STAGES, stages_of
from kawhi.runs.verl_command import command as verl_command
from kawhi.runs.verl_command import environment as verl_environment

TRY_AGAIN = 75
"""Exit code of a failure of the infrastructure: the same command may succeed later."""


class StageFailed(CellError):
    """A stage did not finish.  ``code`` is the exit code that the harness passes on."""

    def __init__(self, message: str, code: int = 1):
        super().__init__(message)
        self.code = code


@dataclass
class Status:
    """What ``status.json`` says about a cell; written on every change, read by views."""

    run: RunDirectory
    steps: int

    def set(self, stage: str, **more: Any) -> None:
        write_json(self.run.status, {"stage": stage, "steps": self.steps, "time": time.time(), **more})


def run_cell(cell: DictConfig, part: str | None = None) -> RunDirectory:
    """Runs what is missing of a cell, or of one part of it; returns at once when its record exists.

    Args:
        part: ``train``, ``evaluate`` or ``None`` for both (:data:`kawhi.runs.stage.PARTS`).

    Raises:
        CellError: something the user can mend.
        StageFailed: a stage failed; its log is named.
    """
    for name in cell.paths:
        cell.paths[name] = str(Path(cell.paths[name]).resolve())  # stages and views must not depend on where they run
    if cell.study.name not in STAGES:
        raise CellError(f"study.name={cell.study.name} is not one of {', '.join(STAGES)}")
    stages = stages_of(cell.study.name, part)
    run_directory = RunDirectory.of(cell)
    if run_directory.record.exists():
        return run_directory
    earlier = STAGES[cell.study.name][: STAGES[cell.study.name].index(stages[0])] if stages else ()
    if unfinished := [stage for stage in earlier if not run_directory.stage(stage).exists()]:
        raise CellError(
            f"the part {part} comes after {', '.join(unfinished)}, which {run_directory.path} does not have"
        )
    resources.require(
        memory_gib=cell.scale.needs.memory_gib, disk_gib=cell.scale.needs.disk_gib, folder=Path(cell.paths.runs)
    )
    with run_directory.locked():
        end_stragglers(run_directory.path)  # of a run that was killed
        run_directory.save_config(cell)
        status = Status(run_directory, cell.steps)
        try:
            for stage in stages:
                if not run_directory.stage(stage).exists():
                    status.set(stage)
                    seconds = _WORK[stage](cell, run_directory, status)
                    write_json(run_directory.stage(stage), {"seconds": round(seconds, 3)})
        except CellError as error:
            status.set("failed", reason=str(error))
            raise
        except KeyboardInterrupt:
            status.set("stopped", reason="interrupted")
            raise
        status.set("done" if run_directory.record.exists() else "trained")
    return run_directory


def _prepare(cell: DictConfig, run_directory: RunDirectory, status: Status) -> float:
    return _module(cell, run_directory, "prepare", "kawhi.data.prepare")


def _train(cell: DictConfig, run_directory: RunDirectory, status: Status) -> float:
    data = json.loads((run_directory.path / "data.json").read_text())
    command = verl_command(
        cell,
        train_file=Path(data["train"]),
        validation_file=Path(data["validation"]),
        checkpoints=run_directory.checkpoints,
    )
    metrics_file = run_directory.new_metrics_file()
    log = run_directory.log("train")
    log.unlink(missing_ok=True)
    first: dict[str, float] = {}  # when and at which step this launch was first seen to log
    seen = -1

    def watch() -> None:
        nonlocal seen
        rows = run_directory.metrics()
        if rows and len(rows) != seen:
            seen = len(rows)
            step = rows[-1]["step"]
            first.setdefault("first_step", step)
            first.setdefault("first_time", time.time())
            status.set(
                "train", step=step, reward=rows[-1].get(BASE_REWARD, rows[-1].get("critic/rewards/mean")), **first
            )

    ended = run(
        command,
        environment=verl_environment(cell, metrics_file),
        run_directory=run_directory.path,
        log=log,
        limit=cell.scale.limits.train,
        watch=watch,
    )
    _require_success("train", ended, log, cell.scale.limits.train)
    problems = health.training_problems(
        run_directory.metrics(), log.read_text(errors="replace"), steps=cell.steps, limits=dict(cell.health)
    )
    if problems or "merge" not in STAGES[cell.study.name]:
        # A sick run must not be resumed from; of a timed one nobody reads the weights.
        shutil.rmtree(run_directory.checkpoints, ignore_errors=True)
    if problems:
        raise StageFailed(f"the training run is not trustworthy: {'; '.join(problems)} (log: {log})")
    return ended.seconds


def _merge(cell: DictConfig, run_directory: RunDirectory, status: Status) -> float:
    return _module(cell, run_directory, "merge", "kawhi.runs.merge")


def _evaluate(cell: DictConfig, run_directory: RunDirectory, status: Status) -> float:
    return _module(cell, run_directory, "evaluate", "kawhi.evaluation.run")


def _grounding(cell: DictConfig, run_directory: RunDirectory, status: Status) -> float:
    return _module(cell, run_directory, "grounding", "kawhi.probes.grounding_study")


def _record(cell: DictConfig, run_directory: RunDirectory, status: Status) -> float:
    return _module(cell, run_directory, "record", "kawhi.runs.record")


_WORK: dict[str, Callable[[DictConfig, RunDirectory, Status], float]] = {
    "prepare": _prepare,
    "train": _train,
    "merge": _merge,
    "evaluate": _evaluate,
    "grounding": _grounding,
    "record": _record,
}


def _module(cell: DictConfig, run_directory: RunDirectory, stage: str, module: str) -> float:
    log = run_directory.log(stage)
    log.unlink(missing_ok=True)
    limit = cell.scale.limits[stage]
    ended = run(
        [sys.executable, "-m", module, str(run_directory.path)],
        environment=verl_environment(cell, run_directory.path / "unused"),
        run_directory=run_directory.path,
        log=log,
        limit=limit,
    )
    _require_success(stage, ended, log, limit)
    return ended.seconds


def _require_success(stage: str, ended: Ended, log: Path, limit: float) -> None:
    if ended.code == 0:
        return
    if ended.code is None:
        raise StageFailed(f"{stage} took longer than its limit of {limit:g} s and was ended (log: {log})", TRY_AGAIN)
    if ended.code < 0:
        hint = ": the system may have run out of memory" if ended.code == -9 else ""
        raise StageFailed(f"{stage} was ended by signal {-ended.code}{hint} (log: {log})", TRY_AGAIN)
    reason = last_error(log.read_text(errors="replace")).removeprefix("CellError: ")
    raise StageFailed(f"{stage} failed: {reason} (log: {log})", ended.code)
