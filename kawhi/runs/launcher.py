"""A sweep on one machine: compose and check every cell first, then run the missing ones side by side."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from kawhi import fork_server
from kawhi.base.devices import VISIBLE, Devices, gpus_needed
from kawhi.base.errors import CellError
from kawhi.base.processes import die_with_parent, end_stragglers
from kawhi.base.resources import GIB, available_memory, memory_needed
from kawhi.runs import gate
from kawhi.runs.cell_folders import Place, place_of
from kawhi.runs.composing import composed, labels, untrained
from kawhi.runs.validation import validate
from kawhi.runs.verl_command import environment
from kawhi.runs.views import CellView, SweepView

INTERRUPTED = 130
_POLL_SECONDS = 0.5
_PYTHON = sys.executable  # a cell's own process is started plainly; what it starts comes from the fork server


@dataclass(frozen=True)
class Work:
    """A cell that is to run.

    Attributes:
        place: its folders.
        overrides: what Hydra gets for it.
        gpus: how many it takes for itself.
    """

    place: Place
    overrides: list[str]
    gpus: int

    @property
    def path(self) -> Path:
        """Its run directory, in which one process works at a time."""
        return self.place.run.path


class Running(NamedTuple):
    """A cell's process, where its stderr goes, and the GPUs that are its own until it ends."""

    work: Work
    process: subprocess.Popen
    errors: IO[bytes]
    gpus: list[str]


def launch(loader, sweep: DictConfig, job_overrides: Sequence[Sequence[str]], parallel: int | None) -> list[JobReturn]:
    """Runs the cells of a sweep that have no record yet.

    Nothing starts before every cell has been composed and identified, so a mistake in the last one costs no training.
    A cell that fails does not stop the others; the exit code is that of the first failure.

    Args:
        loader: Hydra's configuration loader.
        sweep: the sweep's own configuration.
        job_overrides: one list of overrides per job.
        parallel: at most so many cells side by side; memory and GPUs may allow fewer.
    """
    cells = [composed(loader, sweep, list(overrides)) for overrides in job_overrides]
    try:
        places = [place_of(cell) for cell in cells]
        missing = _missing(cells, places, job_overrides)
        for place, cell in zip(places, cells, strict=True):
            if place in missing:  # a finished cell was found valid, and to find it again takes torch
                validate(cell)
        devices = Devices.for_cells([work.gpus for work in missing.values()])
        forks = bool(missing) and cells[0].scale.device == "cpu"  # processes that have touched a GPU cannot be forked
        with fork_server.running(environment(cells[0], places[0].run.path / "unused"), wanted=forks):
            most = _side_by_side(cells[0], parallel)
            code, refused = _pass_gates(loader, sweep, cells, job_overrides, devices, most)
            if code != INTERRUPTED:
                kept = [work for place, work in missing.items() if place not in refused]
                print(_counted(len(cells), len(missing), len(missing) - len(kept)), flush=True)
                views = [CellView(label, place) for label, place in zip(labels(cells), places, strict=True)]
                code = _run(kept, views, cells[0].table, most, devices) or code
    except CellError as error:
        sys.exit(f"error: {error}")
    if code:
        sys.exit(code)
    returned = JobReturn(status=JobStatus.COMPLETED)
    returned.return_value = None
    return [returned for _ in cells]


def _counted(cells: int, missing: int, refused: int) -> str:
    """The line that a sweep starts with."""
    kept_back = f", {refused} not started" if refused else ""
    return f"{cells} cells: {cells - missing} done, {missing - refused} to run{kept_back}"


def _missing(
    cells: Iterable[DictConfig], places: Iterable[Place], overrides: Iterable[Sequence[str]]
) -> dict[Place, Work]:
    """What is to be done: the cells without all their records, each once."""
    return {
        place: Work(place, list(words), gpus_needed(cell))
        for cell, place, words in zip(cells, places, overrides, strict=True)
        if not place.done
    }


def _side_by_side(cell: DictConfig, parallel: int | None) -> int:
    """How many cells may run at once: as many as memory allows, and at most ``parallel``."""
    allowed = max(1, int(available_memory() / (memory_needed(cell) * GIB)))
    return allowed if parallel is None else min(parallel, allowed)


def _pass_gates(
    loader,
    sweep: DictConfig,
    cells: Sequence[DictConfig],
    job_overrides: Sequence[Sequence[str]],
    devices: Devices,
    parallel: int,
) -> tuple[int, set[Place]]:
    """Evaluates the untrained models that the cells to be trained start from, and compares them with the paper.

    Returns:
        The exit code, 0 when all models may be trained, and the cells of those that may not.
    """
    gated = {
        place_of(cell): untrained(overrides)
        for cell, overrides in zip(cells, job_overrides, strict=True)
        if gate.gated(cell) and not place_of(cell).trained
    }
    asked = [composed(loader, sweep, words) for words in gated.values()]
    baseline_of = dict(zip(gated, map(place_of, asked), strict=True))
    baselines = dict(zip(baseline_of.values(), asked, strict=True))
    missing, code = _missing(asked, baseline_of.values(), gated.values()), 0
    if missing:
        print(f"{len(missing)} untrained models to evaluate before anything is trained", flush=True)
        views = [CellView(f"{baselines[each].model.name}, untrained", each) for each in missing]
        code = _run(list(missing.values()), views, "baselines", parallel, devices)
    refused = {place for place, baseline in baselines.items() if not _passes(baseline, place)}
    return code or int(bool(refused)), {place for place, baseline in baseline_of.items() if baseline in refused}


def _passes(baseline: DictConfig, place: Place) -> bool:
    """Whether an untrained model was evaluated and has the paper's score; says why where it has not."""
    if not all(each.record.exists() for each in place.evaluations):
        return False  # its evaluation has failed, and has said so
    try:
        gate.compare(baseline, place.evaluations)
    except CellError as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    return True


def _run(missing: Sequence[Work], views: list[CellView], title: str, parallel: int, devices: Devices) -> int:
    """Runs cells side by side; returns the exit code of the first that failed."""
    if not missing:
        return 0
    index = {view.place: i for i, view in enumerate(views)}
    lanes = _Lanes(list(missing), parallel, devices)
    try:
        with SweepView(views, title) as view:
            while lanes.waiting or lanes.running:
                lanes.fill()
                time.sleep(_POLL_SECONDS)
                view.update({index[place] for place in lanes.places})
                if lanes.clear():
                    view.update({index[place] for place in lanes.places})
    except KeyboardInterrupt:
        print("stopping; the same command will go on from here", file=sys.stderr)
        return INTERRUPTED
    finally:
        _stop(lanes.running)
    for place, (_, message) in lanes.failed.items():
        print(f"failed: {views[index[place]].label}: {message or 'no message'}", file=sys.stderr)
    return next((code if code > 0 else 1 for code, _ in lanes.failed.values()), 0)


@dataclass
class _Lanes:
    """Cells that wait, run and have failed: exit code and message."""

    waiting: list[Work]
    parallel: int
    devices: Devices
    running: dict[Path, Running] = field(default_factory=dict)
    failed: dict[Place, tuple[int, str]] = field(default_factory=dict)

    @property
    def places(self) -> list[Place]:
        """Those that run."""
        return [cell.work.place for cell in self.running.values()]

    def fill(self) -> None:
        """Starts what there is room for, in order: a cell of many GPUs is not overtaken for ever by those of few.

        Two cells that share a training take turns.
        """
        while len(self.running) < self.parallel:
            work = next((work for work in self.waiting if work.path not in self.running), None)
            gpus = self.devices.take(work.gpus) if work else None
            if work is None or gpus is None:
                return
            self.waiting.remove(work)
            self.running[work.path] = _start(work, gpus)

    def clear(self) -> list[Path]:
        """Notes which cells have ended and how; returns them."""
        ended = [path for path, cell in self.running.items() if cell.process.poll() is not None]
        for path in ended:
            work, process, errors, gpus = self.running.pop(path)
            self.devices.give_back(gpus)
            if process.returncode:
                self.failed[work.place] = process.returncode, _said(errors)
            errors.close()
        return ended


def _said(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read().decode(errors="replace").strip()


def _stop(running: dict[Path, Running], patience: float = 20) -> None:
    """Interrupts the cells, which end their stages and say so in their status; then makes sure."""
    for _, process, *_ in running.values():
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + patience
    for path, (_, process, *_) in running.items():
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever the cell started in its own session
        end_stragglers(path)
    running.clear()


def _start(work: Work, gpus: list[str]) -> Running:
    errors = tempfile.TemporaryFile()  # a pipe that nobody reads would stop a talkative cell  # noqa: SIM115
    process = subprocess.Popen(
        _command(work.overrides),
        env={**os.environ, VISIBLE: ",".join(gpus)} if gpus else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    return Running(work, process, errors, gpus)


def _command(overrides: list[str]) -> list[str]:
    return [_PYTHON, str(Path(sys.argv[0]).resolve()), *overrides]
