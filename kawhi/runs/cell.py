"""One cell from its configuration to its record: prepare -> train -> merge -> evaluate -> record, or a shorter study.

Each stage is a child process with a time limit.  A stage that is done is not done again; a stage that was killed is.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig

from kawhi import fork_server
from kawhi.base import health, lost, resources
from kawhi.base.attention_choice import chosen
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.made_by import launch_note
from kawhi.base.processes import Ended, end_stragglers, last_error, run
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import STAGES, stages_of
from kawhi.runs import checkpoints
from kawhi.runs.identity import directory_of
from kawhi.runs.validation import validate
from kawhi.runs.verl_command import command as verl_command
from kawhi.runs.verl_command import environment as verl_environment

TRY_AGAIN = 75
"""Exit code of a failure of the infrastructure: the same command may succeed later."""


class StageFailed(CellError):
    """A stage did not finish.  ``code`` is the exit code that the harness passes on."""

    def __init__(self, message: str, code: int = 1):
        super().__init__(message)
        self.code = code


class Stopped(StageFailed):
    """A stage was asked to stop; nothing is wrong."""

    def __init__(self, where: str):
        super().__init__(f"asked to stop {where}; the same command goes on", TRY_AGAIN)


@dataclass
class Status:
    """What ``status.json`` says about a cell; written on every change, read by views."""

    run: RunDirectory
    steps: int

    def set(self, stage: str, **more: Any) -> None:
        write_json(self.run.status, {"stage": stage, "steps": self.steps, "time": time.time(), **more})

    @contextlib.contextmanager
    def until(self, end: str) -> Iterator[Status]:
        """Says how the work ended: ``end``, ``failed`` or ``stopped``, with the reason."""
        try:
            yield self
        except CellError as error:
            self.set("stopped" if isinstance(error, Stopped) else "failed", reason=str(error))
            raise
        except KeyboardInterrupt:
            self.set("stopped", reason="interrupted")
            raise
        self.set(end)


def run_cell(cell: DictConfig, part: str | None = None, overrides: Sequence[str] | None = None) -> RunDirectory:
    """Runs what is missing of a cell, or of one part of it; returns at once when its record exists.

    Args:
        part: ``train``, ``evaluate`` or ``None`` for both (:data:`kawhi.base.stage.PARTS`).
        overrides: that the cell was composed with, for its record; ``None`` where they were noted before.

    Raises:
        CellError: something the user can mend.
        StageFailed: a stage failed; its log is named.
    """
    for name in cell.paths:
        cell.paths[name] = str(Path(cell.paths[name]).resolve())  # stages and views must not depend on where they run
    run_directory = directory_of(cell)
    if run_directory.record.exists():
        return run_directory
    stages = _stages(cell.study.name, part, run_directory)
    resources.require(
        memory_gib=resources.memory_needed(cell), disk_gib=cell.scale.needs.disk_gib, folder=Path(cell.paths.runs)
    )
    validate(cell)  # imports torch, for which a machine that is too small may have no room
    environment = verl_environment(cell, run_directory.path / "unused")
    with run_directory.locked(), fork_server.running(environment, wanted=cell.scale.device == "cpu"):
        end_stragglers(run_directory.path)  # of a run that was killed
        run_directory.stop_request.unlink(missing_ok=True)  # it was for an earlier run
        run_directory.save_config(cell, overrides)
        with Status(run_directory, cell.steps).until("done" if "record" in stages else "trained") as status:
            for stage in stages:
                if not run_directory.stage(stage).exists():
                    _run_stage(stage, cell, run_directory, status)
    return run_directory


def _stages(study: str, part: str | None, run_directory: RunDirectory) -> tuple[str, ...]:
    """Stages of the study, or of its part.

    Raises:
        CellError: what comes before the part was not done.
    """
    stages = stages_of(study, part)
    earlier = STAGES[study][: STAGES[study].index(stages[0])] if stages else ()
    if unfinished := [stage for stage in earlier if not run_directory.stage(stage).exists()]:
        raise CellError(
            f"the part {part} comes after {', '.join(unfinished)}, which {run_directory.path} does not have"
        )
    return stages


def _run_stage(stage: str, cell: DictConfig, run_directory: RunDirectory, status: Status) -> None:
    """Runs a stage, and leaves a marker when it is done."""
    if run_directory.stop_request.exists():
        raise Stopped(f"before {stage}")
    status.set(stage)
    note = launch_note(stage)
    if stage == "train" or (stage == "evaluate" and cell.evaluation.backend == "hugging_face"):
        note["attention"] = chosen(cell.scale.attention, cell.scale.device)
        print(f"{stage}: attention {note['attention']}", flush=True)
    run_directory.add_launch(note)
    done = _WORK[stage](cell, run_directory, status)
    write_json(run_directory.stage(stage), {"seconds": round(done.seconds, 3), "memory_gib": done.memory_gib or None})


def _train(cell: DictConfig, run_directory: RunDirectory, status: Status) -> Ended:
    saved = run_directory.checkpoints
    begin = max(checkpoints.usable_steps(saved, run_directory.metrics()), default=0)
    log, ended = run_directory.log("train"), Ended(0, 0.0)
    if begin < cell.steps:
        _refuse_lost_twice(run_directory)
        metrics_file = run_directory.new_metrics_file(after=begin)
        checkpoints.settle(saved, begin)
        log.unlink(missing_ok=True)
        ended = _launch_training(cell, run_directory, status, metrics_file, begin)
        text = log.read_text(errors="replace")
    else:
        text = ""  # killed when all was done; what a killed launch says of its end is no finding
    rows = run_directory.metrics()
    if problems := health.training_problems(rows, text, steps=cell.steps, limits=dict(cell.health)):
        _refuse_to_go_on(run_directory, problems, log)
    checkpoints.thin(saved, rows)
    run_directory.merge_metrics()
    if "merge" not in STAGES[cell.study.name]:
        checkpoints.remove_all(saved)  # nobody reads the weights
    return ended


def _refuse_lost_twice(run_directory: RunDirectory) -> None:
    """A row that fails in every launch is not drawn for ever: the order of the data would bring it again."""
    if rows := lost.lost_twice(run_directory.path):
        raise StageFailed(
            f"two launches of this training lost responses of the same data, {lost.described(rows)}: mend or drop it "
            f"in data.train_file, or mend what failed and remove {lost.lost_file(run_directory.path)} to try it again"
        )


def _launch_training(
    cell: DictConfig, run_directory: RunDirectory, status: Status, metrics_file: Path, begin: int
) -> Ended:
    """Trains from the step ``begin`` to the end, or until it is asked to stop."""
    data = json.loads((run_directory.path / "data.json").read_text())
    command = verl_command(
        cell,
        train_file=Path(data["train"]),
        validation_file=Path(data["validation"]),
        checkpoints=run_directory.checkpoints,
    )
    first: dict[str, float] = {}  # when and at which step this launch was first seen to log
    seen = 0

    def watch() -> None:
        nonlocal seen
        rows = run_directory.metrics()
        if len(rows) == seen:
            return
        seen = len(rows)
        step = rows[-1]["step"]
        if step > begin:
            first.setdefault("first_step", step)
            first.setdefault("first_time", time.time())
        began = first or {"first_step": step, "first_time": time.time()}
        status.set("train", step=step, reward=checkpoints.reward_of(rows[-1]), **began)
        with contextlib.suppress(CellError):  # a full or failing disk: nothing to end a training for that still runs
            checkpoints.thin(run_directory.checkpoints, rows)

    log, limits = run_directory.log("train"), cell.scale.limits
    ended = run(
        command,
        environment=verl_environment(cell, metrics_file),
        run_directory=run_directory.path,
        log=log,
        limit=limits.train,
        watch=watch,
        stop=run_directory.stop_request,
        patience=0 if cell.kawhi.method == "off" else limits.stop,  # verl's own trainer would not look
    )
    if ended.asked:
        _stop_training(cell, run_directory, ended, begin)
    _require_success("train", ended, log, limits.train)
    return ended


def _stop_training(cell: DictConfig, run_directory: RunDirectory, ended: Ended, begin: int) -> None:
    """Says where a training that was asked to stop has stopped; returns when it failed, or was done, instead."""
    rows, log = run_directory.metrics(), run_directory.log("train")
    if ended.code == 0:
        done = rows[-1]["step"] if rows else begin
        if done >= cell.steps:
            return
        # Of a launch that has ended in order an error must not be forgotten with its log.
        if error := health.first_error(log.read_text(errors="replace")):
            _refuse_to_go_on(run_directory, [f"a worker logged an error: {error[:200]}"], log)
        raise Stopped(f"after step {done}")
    if ended.code is None or ended.code < 0:
        step = max(checkpoints.usable_steps(run_directory.checkpoints, rows), default=0)
        raise Stopped(f"in train, which had no time to save and goes on after step {step}")


def _refuse_to_go_on(run_directory: RunDirectory, problems: list[str], log: Path) -> NoReturn:
    """A sick run must not be resumed from."""
    checkpoints.remove_all(run_directory.checkpoints)
    raise StageFailed(f"the training run is not trustworthy: {'; '.join(problems)} (log: {log})")


def _module(cell: DictConfig, run_directory: RunDirectory, status: Status, *, stage: str, module: str) -> Ended:
    log = run_directory.log(stage)
    log.unlink(missing_ok=True)
    limit = cell.scale.limits[stage]
    ended = run(
        [sys.executable, "-m", module, str(run_directory.path)],
        environment=verl_environment(cell, run_directory.path / "unused"),
        run_directory=run_directory.path,
        log=log,
        limit=limit,
        stop=run_directory.stop_request,  # at once: what these stages have done is kept, and they go on by themselves
    )
    if ended.asked and ended.code is None:
        raise Stopped(f"in {stage}")
    _require_success(stage, ended, log, limit)
    return ended


_WORK: dict[str, Callable[[DictConfig, RunDirectory, Status], Ended]] = {
    "train": _train,
    **{
        stage: partial(_module, stage=stage, module=module)
        for stage, module in {
            "prepare": "kawhi.runs.prepare",
            "merge": "kawhi.runs.merge",
            "evaluate": "kawhi.evaluation.evaluate",
            "grounding": "kawhi.probes.grounding_study",
            "record": "kawhi.runs.record",
        }.items()
    },
}


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
