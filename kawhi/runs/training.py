"""Stage ``train``: verl with the plug-in from the newest usable checkpoint to the last step, then the health checks."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

from omegaconf import DictConfig

from kawhi.base import health, lost
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.processes import Ended, processor_seconds, run
from kawhi.base.published import fetched_model
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import STAGES
from kawhi.runs import checkpoints, set_aside
from kawhi.runs.held_out import scores_best
from kawhi.runs.stages import TRY_AGAIN, StageFailed, Status, Stopped, refuse_out_of_memory, require_success
from kawhi.runs.verl_command import command as verl_command
from kawhi.runs.verl_command import environment as verl_environment


def train(cell: DictConfig, run_directory: RunDirectory, status: Status) -> Ended:
    saved = run_directory.checkpoints
    begin = max(checkpoints.usable_steps(saved, run_directory.metrics()), default=0)
    log, ended = run_directory.log("train"), Ended(0, 0.0)
    if begin < cell.steps:
        _refuse_lost_twice(run_directory)
        metrics_file = run_directory.new_metrics_file(after=begin)
        checkpoints.settle(saved, begin)
        if not begin:
            for file in (run_directory.accepted, run_directory.processor_file):
                file.unlink(missing_ok=True)  # of a training that this one does not go on from
        log.unlink(missing_ok=True)
        ended = _launch_training(cell, run_directory, status, metrics_file, begin)
        text = log.read_text(errors="replace")
    else:
        text = ""  # killed when all was done; what a killed launch says of its end is no finding
    rows = run_directory.metrics()
    _refuse_sick(
        run_directory,
        health.training_problems(
            rows,
            text,
            steps=cell.steps,
            limits=dict(cell.health),
            accepted=set_aside.accepted_until(run_directory),
        ),
    )
    checkpoints.thin(saved, rows, by_held_out=scores_best(cell))
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


def _refuse_sick(run_directory: RunDirectory, problems: list[str]) -> None:
    """Nothing goes on from a sick training by itself."""
    if problems:
        kept = set_aside.put(run_directory, problems)
        raise StageFailed(
            f"the training run is not trustworthy: {'; '.join(problems)} (log: {run_directory.log('train')}){kept}"
        )


class _Watch:
    """Looks at a launch of a training twice a second: how far it is, whether it hangs, whether it is sick."""

    def __init__(self, cell: DictConfig, run_directory: RunDirectory, status: Status, begin: int):
        self.cell, self.run, self.status, self.begin = cell, run_directory, status, begin
        self.first: dict[str, float] = {}  # when and at which step this launch was first seen to log
        self.seen, self.moved = 0, time.monotonic()
        self.problems: list[str] = []
        self.spent: tuple[int, float] | None = None  # processor seconds until the end of a step

    def __call__(self) -> None:
        rows = self.run.metrics()
        if len(rows) == self.seen:
            self._refuse_hanging()
            return
        self.seen, self.moved = len(rows), time.monotonic()
        step = rows[-1]["step"]
        self._note_processors(step)
        if self.begin < step < self.cell.steps and not self.problems:
            self._stop_if_sick(step)
        if step > self.begin:
            self.first = self.first or {"first_step": step, "first_time": time.time()}
        began = self.first or {"first_step": step, "first_time": time.time()}
        self.status.set("train", step=step, reward=checkpoints.reward_of(rows[-1]), **began)
        with contextlib.suppress(CellError):  # a full or failing disk: nothing to end a training for that still runs
            checkpoints.thin(self.run.checkpoints, rows, by_held_out=scores_best(self.cell))

    def _note_processors(self, step: int) -> None:
        """Keeps what a step took of processors, where its beginning and its end were seen."""
        now = processor_seconds(self.run.path)
        if self.spent is not None and step == self.spent[0] + 1:
            kept = self.run.processors()
            with contextlib.suppress(CellError):  # as in __call__
                write_json(self.run.processor_file, kept | {str(step): round(now - self.spent[1], 3)})
        self.spent = step, now

    def _stop_if_sick(self, step: int) -> None:
        self.problems = sickness(self.cell, self.run)
        if self.problems:
            print(f"train: asked to stop after step {step}: {'; '.join(self.problems)}", flush=True)
            self.run.stop_request.touch()

    def _refuse_hanging(self) -> None:
        limit = self.cell.scale.limits.step
        if time.monotonic() - self.moved > limit:
            refuse_out_of_memory("train", self.run.log("train"))
            raise StageFailed(
                f"train has logged no step for {limit:g} s (scale.limits.step), so something hangs: it was "
                f"ended, and the same command goes on (log: {self.run.log('train')})",
                TRY_AGAIN,
            )


def sickness(cell: DictConfig, run_directory: RunDirectory, *, errors: bool = True) -> list[str]:
    """What is wrong with a training that is under way (:func:`kawhi.base.health.sickness`).

    Args:
        errors: whether what its workers logged counts, too.
    """
    return health.sickness(
        run_directory.metrics(),
        run_directory.log("train").read_text(errors="replace") if errors else "",
        limits=dict(cell.health),
        accepted=set_aside.accepted_until(run_directory),
    )


def _launch_training(
    cell: DictConfig, run_directory: RunDirectory, status: Status, metrics_file: Path, begin: int
) -> Ended:
    """Trains from the step ``begin`` to the end, or until it is asked to stop."""
    data = json.loads((run_directory.path / "data.json").read_text())
    fetched_model(cell.model.path, cell.model.get("revision"))  # once, before many processes want it
    command = verl_command(
        cell,
        train_file=Path(data["train"]),
        validation_file=Path(data["validation"]),
        checkpoints=run_directory.checkpoints,
    )
    log, limits = run_directory.log("train"), cell.scale.limits
    watch = _Watch(cell, run_directory, status, begin)
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
    if watch.problems:  # however it ended
        run_directory.stop_request.unlink(missing_ok=True)
        if ended.code != 0 and not sickness(cell, run_directory, errors=False):  # the errors of who lost a worker
            refuse_out_of_memory("train", log)
        _refuse_sick(run_directory, watch.problems)
    if ended.asked:
        _stop_training(cell, run_directory, ended, begin)
    require_success("train", ended, log, limits.train)
    return ended


def _stop_training(cell: DictConfig, run_directory: RunDirectory, ended: Ended, begin: int) -> None:
    """Says where a training that was asked to stop has stopped; returns when it failed, or was done, instead."""
    rows = run_directory.metrics()
    if ended.code == 0:
        done = rows[-1]["step"] if rows else begin
        if done >= cell.steps:
            return
        # Of a launch that has ended in order an error must not be forgotten with its log.
        _refuse_sick(run_directory, sickness(cell, run_directory))
        raise Stopped(f"after step {done}")
    if ended.code is None or ended.code < 0:
        step = max(checkpoints.usable_steps(run_directory.checkpoints, rows), default=0)
        raise Stopped(f"in train, which had no time to save and goes on after step {step}")
