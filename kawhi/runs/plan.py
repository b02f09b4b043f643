"""What a command would run: every cell with its verl command line, an estimate of its time, and where it stands."""

from __future__ import annotations

import itertools
import json
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from kawhi.base.checkout import configuration_folder, record_folders
from kawhi.base.errors import DataMissing
from kawhi.base.stage import trains
from kawhi.records.folder import record_name
from kawhi.runs.cell_folders import Place, place_of
from kawhi.runs.composing import compose_cells, labels
from kawhi.runs.disk import Sizes, amount, parameters_of, sizes
from kawhi.runs.estimate import devices, evaluation_hours, step_seconds
from kawhi.runs.identity import prepare_command
from kawhi.runs.prepare import training_files
from kawhi.runs.survey import CellState, states_of
from kawhi.runs.validation import validate
from kawhi.runs.verl_command import command, own_environment
from kawhi.tiny.drawn_files import is_drawn

TABLES = ("experiment=", "ablation=")


@dataclass(frozen=True)
class PlannedCell:
    """One cell of a plan.

    Attributes:
        label: what the cell is called in its table.
        overrides: what Hydra gets for it.
        path: its run directory.
        known: whether that is its name already; ``False`` while the data file on which its hash depends is missing.
        evaluations: their folders, and whether each is done.
        trained: whether nothing is left but evaluations.
        state: ``done``, ``waiting``, a stage, or what is missing.
        fate: what a launch would do with it: it is ``done``, ``busy`` (queued or running) or ``missing``.
        command: the command line of verl with its environment; ``None`` for a cell that trains nothing.
        device_hours: steps x seconds per step x devices; ``None`` for a cell that trains nothing.
        evaluation_hours: of a device, of each of ``evaluations``, its judge's included.
        source: where the seconds per step come from.
        device: of its scale.
        sizes: bytes that its training takes on the disk; ``None`` where the model is not on this machine.
        disk_gib: what its scale asks for where that is not known.
    """

    label: str
    overrides: list[str]
    path: Path
    known: bool
    evaluations: dict[Path, bool]
    trained: bool
    state: str
    fate: str
    command: str | None
    device_hours: float | None
    evaluation_hours: dict[Path, float]
    source: str
    device: str
    sizes: Sizes | None = None
    disk_gib: float = 0


def make_plan(conf: Path, overrides: Sequence[str]) -> list[PlannedCell]:
    """A plan; nothing is started and nothing written.

    Args:
        overrides: as for ``experiments/run.py -m``, and there may be several tables.

    Raises:
        CellError: a cell that could not run, other than for want of its data file.
    """
    tables = [word for word in overrides if word.startswith(TABLES)]
    if len(tables) > 1:
        others = [word for word in overrides if word not in tables]
        plans = {table.partition("=")[2]: make_plan(conf, [table, *others]) for table in tables}
        return [replace(cell, label=f"{name}: {cell.label}") for name, plan in plans.items() for cell in plan]
    cells, rows = compose_cells(conf, overrides)
    measured = _measured_seconds(record_folders(Path(cells[0].paths.records)))
    places = [_place(cell) for cell in cells]
    states, _ = states_of(Path(cells[0].paths.runs), [place.run.path for place, known in places if known])
    return [
        _planned(cell, row, label, *place, states, measured)
        for cell, row, label, place in zip(cells, rows, labels(cells), places, strict=True)
    ]


def _place(cell: DictConfig) -> tuple[Place, bool]:
    """Of a cell that could run, and whether it is known: its hash depends on a data file that may be missing."""
    validate(cell)
    for name in cell.paths:
        cell.paths[name] = str(Path(cell.paths[name]).resolve())  # as when it runs
    try:
        return place_of(cell), True
    except DataMissing:
        return place_of(cell, planned=True), False


def _planned(
    cell: DictConfig,
    row: list[str],
    label: str,
    place: Place,
    known: bool,
    states: dict[Path, CellState],
    measured: dict[tuple, tuple[float, str]],
) -> PlannedCell:
    directory, evaluations = place.run, {each.path: each.record.exists() for each in place.evaluations}
    if known:
        state, fate = _state_and_fate(place, states[directory.path])
    else:
        state, fate = f"needs `{prepare_command(cell.data.name)}`", "missing"
    device = cell.scale.device
    judged = dict(zip(evaluations, map(partial(evaluation_hours, cell), cell.benchmarks), strict=False))
    told = (label, row, directory.path, known, evaluations, known and place.trained, state, fate)
    if not trains(cell):
        return PlannedCell(*told, None, None, judged, "nothing is trained", device)
    files = training_files(cell, make=False)
    words = command(
        cell, train_file=files["train"], validation_file=files["validation"], checkpoints=directory.checkpoints
    )
    setting = own_environment(cell, directory.path / "train" / "metrics-0.jsonl")
    line = " ".join([*(f"{key}={shlex.quote(value)}" for key, value in setting.items()), shlex.join(words)])
    if drawn := [str(file) for file in files.values() if is_drawn(file)]:  # a plan draws nothing; its line does
        line = f"{shlex.join([sys.executable, '-m', 'kawhi.tiny.drawn_files', *drawn])} && {line}"
    seconds, source = measured.get(_kind(cell)) or (step_seconds(cell), cell.scale.step_seconds.source)
    hours = cell.steps * seconds * devices(cell) / 3600
    return PlannedCell(*told, line, hours, judged, source, device, _room(cell), float(cell.scale.needs.disk_gib))


def _room(cell: DictConfig) -> Sizes | None:
    """What the training takes on the disk; ``None`` of a model of which nobody knows how large it is."""
    known = cell.model.get("sizes")
    parameters = known.parameters if known else parameters_of(cell.model.path)
    adapters = cell.verl.actor_rollout_ref.model.get("lora_rank")  # a hundredth of the model
    return sizes(cell, parameters, 0 if adapters else None) if parameters else None


def _state_and_fate(place: Place, found: CellState) -> tuple[str, str]:
    """Where a cell stands, and what a launch would do with it."""
    if place.done:
        return "done", "done"
    if found.state in ("running", "queued") or found.awaited:
        return found.shown, "busy"
    if not place.evaluations or not place.trained:
        return found.shown, "missing"
    broke_off = found.state in ("failed", "lost", "stopped")
    said = [found.shown] if broke_off else ["trained"] if place.run.record.exists() else []
    if said or len(place.missing) < len(place.evaluations):
        said.append(f"{len(place.missing)} of {len(place.evaluations)} evaluations missing")
    return ", ".join(said) or "waiting", "missing"


def _kind(cell: DictConfig) -> tuple[str | int | None, ...]:
    own = cell.algorithm
    asked = own.name, own.equations, own.recipe, cell.credit.name, cell.data.name
    return cell.scale.name, devices(cell), cell.model.name, *asked


def _measured_seconds(folders: Sequence[Path]) -> dict[tuple, tuple[float, str]]:
    """Kind of cell -> seconds per step of the newest record of that kind in the first folder with one, and its file."""
    found = {}
    oldest_first = [sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime) for folder in folders]
    for file in itertools.chain(*reversed(oldest_first)):
        record = json.loads(file.read_text())
        if "algorithm" not in record:
            continue
        trainer = record["config"].get("verl", {}).get("trainer", {})
        kind = (
            record["config"]["scale"]["name"],
            trainer.get("n_gpus_per_node", 1) * trainer.get("nnodes", 1),
            record["model"]["name"],
            *(record["config"]["algorithm"].get(key) for key in ("name", "equations", "recipe")),
            record["credit"]["name"],
            record["data"],
        )
        found[kind] = record["run"]["timing_s"]["timing_s/step"], f"measured: {record_name(file)}"
    return found


def render(plan: Sequence[PlannedCell], overrides: Sequence[str], *, short: bool = False) -> str:
    """The plan as text: each cell's command line, then the table and the sum, which stay in sight.

    Args:
        short: without the command lines.
    """
    lines = [] if short else [line for number, cell in enumerate(plan, 1) for line in _described(number, cell)]
    fates = Counter(cell.fate for cell in plan)
    counted = f"{len(plan)} cells, {fates['done']} done, {fates['busy']} queued or running, {fates['missing']} missing"
    lines += [f"{' '.join(overrides) or 'defaults'}: {counted}", _apart(plan), ""]
    width = max(len(cell.label) for cell in plan)
    lines += [
        f"{number:3d}  {cell.label:{width}}  {_hours(cell.device_hours):>10}  {_stands(cell)}"
        for number, cell in enumerate(plan, 1)
    ]
    return "\n".join([*lines, "", *_sum(plan)])


def _apart(plan: Sequence[PlannedCell]) -> str:
    """Trainings and evaluations, each once though several cells have it."""
    trainings = _trainings(plan)
    trained = sum(cell.trained for cell in trainings)
    evaluations = {_name(path): done for cell in plan for path, done in cell.evaluations.items()}
    return (
        f"{len(trainings)} trainings, {trained} done; {len(evaluations)} evaluations, {sum(evaluations.values())} done"
    )


def _trainings(plan: Sequence[PlannedCell]) -> list[PlannedCell]:
    """A cell for each training."""
    return [*{cell.path.name.rpartition("-")[2]: cell for cell in plan if cell.command}.values()]


def _name(evaluation: Path) -> str:
    """Without the table that asks for it first."""
    return f"{evaluation.parents[1].name.rpartition('-')[2]}/{evaluation.name}"


def _described(number: int, cell: PlannedCell) -> list[str]:
    told = cell.command or "no verl command: the cell trains nothing"
    path = cell.path if cell.known else f"{str(cell.path).rpartition('-')[0]}-<hash>"
    return [f"[{number}] {cell.label}", f"{path}", " ".join(cell.overrides), told, ""]


def _sum(plan: Sequence[PlannedCell]) -> list[str]:
    unit = "device-hours" if plan[0].device == "cpu" else "GPU-hours"
    trainings = _trainings(plan)
    hours = sum(cell.device_hours or 0 for cell in trainings)
    left = sum(cell.device_hours or 0 for cell in trainings if not cell.trained)
    sources = dict.fromkeys(f"  {cell.source}" for cell in plan if cell.command)
    said = [f"{unit} of training: {hours:.2f} in all, {left:.2f} still to do", *_evaluations(plan, unit)]
    return [*said, "seconds per step:", *sources, *_disk(trainings)] if sources else said


def _evaluations(plan: Sequence[PlannedCell], unit: str) -> list[str]:
    """The sum of all evaluations, each once though several cells have it."""
    hours = {_name(path): own for cell in plan for path, own in cell.evaluation_hours.items()}
    done = {_name(path) for cell in plan for path, done in cell.evaluations.items() if done}
    left = sum(own for path, own in hours.items() if path not in done)
    return [f"{unit} of evaluation: {sum(hours.values()):.2f} in all, {left:.2f} still to do"] if hours else []


def _disk(trainings: Sequence[PlannedCell]) -> list[str]:
    """What the trainings take on the disk, those included that are done."""
    known = [cell.sizes for cell in trainings if cell.sizes]
    if len(known) < len(trainings):
        return [
            f"disk: up to {max(cell.disk_gib for cell in trainings):g} GiB while a cell trains (scale.needs.disk_gib); "
            "what stays is known when the models are on this machine"
        ]
    peak, stay = max(each.peak for each in known), sum(each.stays for each in known)
    return [
        f"disk: up to {amount(peak)} while a cell trains; {amount(stay)} stay of {len(known)} trainings (keep), "
        f"{amount(stay + peak)} at the peak of one after the other"
    ]


def _stands(cell: PlannedCell) -> str:
    if cell.fate == "missing" and cell.state != "waiting":
        return f"missing: {cell.state}"
    return "missing" if cell.fate == "missing" else cell.state


def _hours(hours: float | None) -> str:
    return "–" if hours is None else f"{hours:.2f} h"


def print_plan(overrides: Sequence[str], prefix: str = "", *, short: bool = False) -> None:
    """Prints the plan of a command.

    Raises:
        CellError, TableError, hydra.errors.HydraException: as :func:`make_plan`.
    """
    text = render(make_plan(configuration_folder(), overrides), overrides, short=short)
    print("\n".join(f"{prefix}{line}".rstrip() for line in text.splitlines()))
