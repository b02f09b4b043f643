"""A sweep on one machine: compose and check every cell first, then run the missing ones side by side."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, open_dict

from kawhi import fork_server
from kawhi.base.devices import VISIBLE, Devices, gpus_needed
from kawhi.base.errors import CellError
from kawhi.base.pins import require_pinned
from kawhi.base.processes import die_with_parent, end_stragglers
from kawhi.base.resources import GIB, available_memory, memory_needed
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import evaluates, trains
from kawhi.runs import gate
from kawhi.runs.identity import directory_of
from kawhi.runs.loggers import validate_logger
from kawhi.runs.validation import validate_algorithm, validate_benchmarks, validate_credit
from kawhi.runs.verl_command import environment
from kawhi.runs.views import CellView, SweepView

_POLL_SECONDS = 0.5
_PYTHON = sys.executable  # a cell's own process imports little; what it starts comes from the fork server


class Running(NamedTuple):
    """A cell's process, where its stderr goes, and the GPUs that are its own until it ends."""

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
        folders = [directory_of(cell) for cell in cells]
        missing = [folder.path for folder in dict.fromkeys(folders) if not folder.record.exists()]
        for cell, folder in zip(cells, folders, strict=True):
            if folder.path in missing:  # a finished cell was found valid, and to find it again takes torch
                validate(cell)
        needs = {folder.path: gpus_needed(cell) for folder, cell in zip(folders, cells, strict=True)}
        devices = Devices.for_cells([needs[path] for path in missing])
    except CellError as error:
        sys.exit(f"error: {error}")
    overrides_of = {folder.path: list(overrides) for folder, overrides in zip(folders, job_overrides, strict=True)}
    with fork_server.running(environment(cells[0], folders[0].path / "unused"), wanted=_forks(cells[0], missing)):
        try:
            _pass_gates(loader, sweep, cells, job_overrides, devices, parallel)
        except CellError as error:
            sys.exit(f"error: {error}")
        print(f"{len(cells)} cells: {len(cells) - len(missing)} done, {len(missing)} to run", flush=True)
        if missing:
            views = [CellView(label, folder.path) for label, folder in zip(labels(cells), folders, strict=True)]
            most = _side_by_side(cells[0], parallel)
            code = _run(missing, overrides_of, views, cells[0].folder, most, devices, needs)
            if code:
                sys.exit(code)
    returned = JobReturn(status=JobStatus.COMPLETED)
    returned.return_value = None
    return [returned for _ in cells]


def _forks(cell: DictConfig, missing: Sequence[Path]) -> bool:
    """Whether there is something for a fork server to fork: processes that have touched a GPU cannot be."""
    return bool(missing) and cell.scale.device == "cpu"


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
    parallel: int | None,
) -> None:
    """Evaluates the untrained models that the cells to be trained start from, and compares them with the paper.

    Raises:
        CellError: a score outside the interval, and ``gate.stop``.
    """
    baselines: dict[Path, tuple[DictConfig, list[str]]] = {}
    for cell, overrides in zip(cells, job_overrides, strict=True):
        if gate.gated(cell) and not directory_of(cell).record.exists():
            own = [*(o for o in overrides if not o.startswith("study=")), "study=baseline"]
            baseline = composed(loader, sweep, own)
            baselines.setdefault(directory_of(baseline).path, (baseline, own))
    missing = [path for path in baselines if not RunDirectory(path).record.exists()]
    if missing:
        print(f"{len(missing)} untrained models to evaluate before anything is trained", flush=True)
        views = [CellView(f"{baselines[path][0].model.name}, untrained", path) for path in missing]
        overrides_of = {path: own for path, (_, own) in baselines.items()}
        most = _side_by_side(baselines[missing[0]][0], parallel)
        needs = {path: gpus_needed(baseline) for path, (baseline, _) in baselines.items()}
        if code := _run(missing, overrides_of, views, "baselines", most, devices, needs):
            sys.exit(code)
    for path, (baseline, _) in baselines.items():
        found = gate.findings(baseline, RunDirectory(path))
        if baseline.gate.stop:
            gate.refuse(found, path / "eval")
        print("\n".join(str(finding) for finding in found), flush=True)


def validate(cell: DictConfig) -> None:
    """Raises:
    CellError: a mistake that would be found out after minutes or days.
    """
    require_pinned(trains=trains(cell), evaluates=evaluates(cell))
    if trains(cell):
        validate_algorithm(cell)
        validate_credit(cell)
    if evaluates(cell):
        validate_benchmarks(cell)
    validate_logger(cell)


def composed(loader, sweep: DictConfig, overrides: list[str]) -> DictConfig:
    """One cell of a sweep."""
    cell = loader.load_sweep_config(sweep, overrides)
    with open_dict(cell):
        cell.pop("hydra")  # its interpolations need a running job, and no number depends on it
    return cell


def _algorithm(cell: DictConfig) -> str:
    exact = " (exact)" if cell.algorithm.exact == "paper" else ""
    recipe = f" ({cell.algorithm.recipe})" if cell.algorithm.recipe else ""
    return f"{cell.algorithm.name}{exact}{recipe}"


def _options_beside(cell: DictConfig, cells: Sequence[DictConfig]) -> str:
    """The method's options in which a cell differs from another one of the same method."""
    options = cell.kawhi.options
    others = [other.kawhi.options for other in cells if other.credit.name == cell.credit.name]
    return ", ".join(f"{key} {options[key]}" for key in options if any(other[key] != options[key] for other in others))


def labels(cells: Sequence[DictConfig]) -> list[str]:
    """What tells the cells of a sweep apart: their credit method, and whatever else differs among them."""
    parts = [
        [
            cell.model.name,
            "" if cell.study.name == "baseline" else _algorithm(cell),
            "Base" if cell.study.name == "baseline" else cell.credit.label,
            cell.study.get("image", ""),
            _options_beside(cell, cells),
            "" if cell.study.name == "baseline" else cell.data.name,
            f"seed {cell.seeds.rollout}",
        ]
        for cell in cells
    ]
    differ = [len({part[i] for part in parts}) > 1 for i in range(len(parts[0]))]
    if not any(differ):
        differ[2] = True
    return [", ".join(text for text, shown in zip(part, differ, strict=True) if shown and text) for part in parts]


def _run(
    missing: list[Path],
    overrides_of: dict[Path, list[str]],
    views: list[CellView],
    title: str,
    parallel: int,
    devices: Devices,
    needs: dict[Path, int],
) -> int:
    index = {view.path: i for i, view in enumerate(views)}
    waiting = list(missing)
    running: dict[Path, Running] = {}
    failed: dict[Path, tuple[int, str]] = {}
    try:
        with SweepView(views, title) as view:
            while waiting or running:
                # In order: a cell that needs many GPUs is not overtaken for ever by those that need few.
                while waiting and len(running) < parallel and (gpus := devices.take(needs[waiting[0]])) is not None:
                    path = waiting.pop(0)
                    running[path] = Running(*_start(overrides_of[path], gpus), gpus)
                time.sleep(_POLL_SECONDS)
                view.update({index[path] for path in running})
                for path, (process, errors, gpus) in list(running.items()):
                    if process.poll() is not None:
                        del running[path]
                        devices.give_back(gpus)
                        if process.returncode:
                            errors.seek(0)
                            failed[path] = (process.returncode, errors.read().decode(errors="replace").strip())
                        errors.close()
                        view.update({index[p] for p in running})
    except KeyboardInterrupt:
        print("stopping; the same command will go on from here", file=sys.stderr)
        _stop(running)
        return 130
    finally:
        _stop(running)
    for path, (_, message) in failed.items():
        print(f"failed: {views[index[path]].label}: {message or 'no message'}", file=sys.stderr)
    return next((code if code > 0 else 1 for code, _ in failed.values()), 0)


def _stop(running: dict[Path, Running], patience: float = 20) -> None:
    """Interrupts the cells, which end their stages and say so in their status; then makes sure."""
    for process, *_ in running.values():
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + patience
    for path, (process, *_) in running.items():
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever the cell started in its own session
        end_stragglers(path)
    running.clear()


def _start(overrides: list[str], gpus: list[str]) -> tuple[subprocess.Popen, IO[bytes]]:
    errors = tempfile.TemporaryFile()  # a pipe that nobody reads would stop a talkative cell  # noqa: SIM115
    process = subprocess.Popen(
        _command(overrides),
        env={**os.environ, VISIBLE: ",".join(gpus)} if gpus else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    return process, errors


def _command(overrides: list[str]) -> list[str]:
    return [_PYTHON, str(Path(sys.argv[0]).resolve()), *overrides]
