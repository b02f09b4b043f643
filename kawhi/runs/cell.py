"""One cell: its training (prepare -> train -> merge -> record) or a shorter study, then its evaluations.

Each stage is a child process with a time limit.  A stage that is done is not done again; a stage that was killed is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from kawhi import fork_server
from kawhi.base import resources
from kawhi.base.attention_choice import chosen
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.made_by import launch_note
from kawhi.base.processes import Ended, end_stragglers
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import STAGES, stages_of
from kawhi.evaluation.results import SCORE
from kawhi.runs import disk
from kawhi.runs.cell_folders import Place, cell_of_one, place_of
from kawhi.runs.stages import StageFailed, Status, Stopped, run_module
from kawhi.runs.training import train
from kawhi.runs.validation import validate
from kawhi.runs.verl_command import environment as verl_environment

_MODULES = {
    "prepare": "kawhi.runs.prepare",
    "merge": "kawhi.runs.merge",
    "grounding": "kawhi.probes.grounding_study",
    "record": "kawhi.runs.record",
    "evaluate": "kawhi.evaluation.evaluate",
}


def run_cell(cell: DictConfig, part: str | None = None, overrides: Sequence[str] | None = None) -> Place:
    """Runs what is missing of a cell, or of one part of it; returns at once when all its records exist.

    Args:
        part: ``train``, ``evaluate`` or ``None`` for both (:data:`kawhi.base.stage.PARTS`).
        overrides: that the cell was composed with, for its records; ``None`` where they were noted before.

    Raises:
        CellError: something the user can mend.
        StageFailed: a stage failed; its log is named.
    """
    for name in cell.paths:
        cell.paths[name] = str(Path(cell.paths[name]).resolve())  # stages and views must not depend on where they run
    place = place_of(cell)
    run_directory = place.run
    if place.done:
        return place
    stages = _stages(place, part)
    resources.require(
        memory_gib=resources.memory_needed(cell), disk_gib=cell.scale.needs.disk_gib, folder=Path(cell.paths.runs)
    )
    validate(cell)  # imports torch, for which a machine that is too small may have no room
    environment = verl_environment(cell, run_directory.path / "unused")
    end = "trained" if part == "train" and place.evaluations else "done"
    with run_directory.locked(), fork_server.running(environment, wanted=cell.scale.device == "cpu"):
        end_stragglers(run_directory.path)  # of a run that was killed
        run_directory.stop_request.unlink(missing_ok=True)  # it was for an earlier run
        run_directory.save_config(cell, overrides)
        save_evaluations(cell, place, overrides)
        with Status(run_directory, cell.steps).until(end) as status:
            for stage in stages:
                if not run_directory.stage(stage).exists():
                    _run_stage(stage, cell, run_directory, status)
            _free_disk(run_directory)
            if part != "train":
                _evaluate(cell, place, status)
                _free_disk(run_directory)
    return place


def _free_disk(run_directory: RunDirectory) -> None:
    """Removes what does not stay of a trained cell: the next one may need the room."""
    if run_directory.record.exists() and (freed := disk.free(run_directory)).total():
        print(f"disk: freed {disk.told(freed)} (keep, conf/run.yaml)", flush=True)


def save_evaluations(cell: DictConfig, place: Place, overrides: Sequence[str] | None = None) -> None:
    """Writes the configuration of each evaluation that is asked for."""
    for number, evaluation in enumerate(place.evaluations):
        evaluation.save_config(cell_of_one(cell, number), overrides)


def _stages(place: Place, part: str | None) -> tuple[str, ...]:
    """Stages of the study, or of its part.

    Raises:
        CellError: what comes before the part was not done.
    """
    stages = stages_of(place.study, part)
    earlier = [stage for stage in STAGES[place.study] if stage not in stages] if part == "evaluate" else []
    if unfinished := [stage for stage in earlier if not place.run.stage(stage).exists()]:
        raise CellError(f"the part {part} comes after {', '.join(unfinished)}, which {place.run.path} does not have")
    return stages


def _evaluate(cell: DictConfig, place: Place, status: Status) -> None:
    """Runs the evaluations that have no record, and records those that have a score, also when another one failed."""
    failed: StageFailed | None = None
    if unscored := [each for each in place.missing if not (each.path / SCORE).exists()]:
        try:
            ended = _run_evaluation("evaluate", unscored, cell, place, status)
            for each in unscored:
                _add_memory(each.stage("generate"), ended)
        except Stopped:
            raise
        except StageFailed as error:
            failed = error
    if scored := [each for each in place.missing if (each.path / SCORE).exists()]:
        _run_evaluation("record", scored, cell, place, status)
    if failed:
        raise failed


def _run_evaluation(
    stage: str, evaluations: Sequence[RunDirectory], cell: DictConfig, place: Place, status: Status
) -> Ended:
    if place.run.stop_request.exists():
        raise Stopped(f"before {stage}")
    status.set(stage)
    if stage == "evaluate":
        note = launch_note(stage) | _attention(cell, stage)
        for each in evaluations:
            each.add_launch(note)
    names = [each.path.name for each in evaluations]
    return run_module(cell, place.run, stage=stage, module=_MODULES[stage], words=names)


def _add_memory(marker: Path, ended: Ended) -> None:
    if marker.exists():
        write_json(marker, json.loads(marker.read_text()) | {"memory_gib": ended.memory_gib or None})


def _run_stage(stage: str, cell: DictConfig, run_directory: RunDirectory, status: Status) -> None:
    """Runs a stage, and leaves a marker when it is done."""
    if run_directory.stop_request.exists():
        raise Stopped(f"before {stage}")
    status.set(stage)
    run_directory.add_launch(launch_note(stage) | _attention(cell, stage))
    if stage == "train":
        done = train(cell, run_directory, status)
    else:
        done = run_module(cell, run_directory, stage=stage, module=_MODULES[stage])
    write_json(run_directory.stage(stage), {"seconds": round(done.seconds, 3), "memory_gib": done.memory_gib or None})


def _attention(cell: DictConfig, stage: str) -> dict[str, str]:
    """Which attention a stage's model is run with, where that is ours to choose; says so."""
    if stage != "train" and not (stage == "evaluate" and cell.evaluation.backend == "hugging_face"):
        return {}
    attention = chosen(cell.scale.attention, cell.scale.device)
    print(f"{stage}: attention {attention}", flush=True)
    return {"attention": attention}
