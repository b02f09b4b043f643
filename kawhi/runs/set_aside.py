"""Checkpoints of a training that failed a health check: nothing goes on from them until somebody accepts them."""

from __future__ import annotations

import json
import shutil
from typing import Any

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.runs import checkpoints
from kawhi.runs.stages import Status

_CHECKPOINTS, _FINDINGS = "checkpoints", "findings.json"


def put(run: RunDirectory, findings: list[str]) -> str:
    """Sets a training's checkpoints aside, in the place of an earlier launch's; says so where there is one to accept.

    Args:
        findings: what the health checks say.
    """
    shutil.rmtree(run.set_aside, ignore_errors=True)
    write_json(run.set_aside / _FINDINGS, {"findings": findings, "launches": _launches(run)})
    aside = run.set_aside / _CHECKPOINTS
    checkpoints.move(run.checkpoints, aside)
    if not (steps := checkpoints.usable_steps(aside, run.metrics())):
        return ""
    return (
        f"; its checkpoints are in {run.set_aside}: the same command starts afresh, "
        f"`kawhi accept {run.path} --why ...` goes on after step {steps[-1]}"
    )


def accept(run: RunDirectory, why: str) -> int:
    """Puts the checkpoints back and notes the reason; returns the step that the training goes on after.

    Raises:
        CellError: nothing can be accepted, or no reason is given.
    """
    if not why.strip():
        raise CellError("--why must say why the run can be trusted: its record and every table with it repeat that")
    if not run.path.is_dir():
        raise CellError(f"there is no run directory {run.path}")
    with run.locked():
        aside, noted = run.set_aside / _CHECKPOINTS, run.set_aside / _FINDINGS
        if not noted.exists():
            raise CellError(f"{run.path} has no checkpoints set aside: no health check of it failed")
        said = json.loads(noted.read_text())
        if said["launches"] != _launches(run):
            raise CellError(
                f"{run.path} was launched again since its checkpoints were set aside, so its metrics differ"
            )
        rows = run.metrics()
        if not (steps := checkpoints.usable_steps(aside, rows)):
            raise CellError(f"{aside} has no whole checkpoint to go on from: run the cell again")
        entry = {"step": rows[-1]["step"], "why": why.strip(), "findings": said["findings"]}
        write_json(run.accepted, [*accepted(run), entry])  # first: what is put back must not be refused again
        checkpoints.move(aside, run.checkpoints)
        shutil.rmtree(run.set_aside)
        reason = f"accepted: {why.strip()}; the same command goes on after step {steps[-1]}"
        Status(run, run.load_config().steps).set("stopped", reason=reason)
    return steps[-1]


def accepted(run: RunDirectory) -> list[dict[str, Any]]:
    """What was accepted of a training: up to which ``step``, ``why``, and the ``findings``."""
    return json.loads(run.accepted.read_text()) if run.accepted.exists() else []


def accepted_until(run: RunDirectory) -> int:
    """The last step of which somebody has accepted what was found; 0 where nobody has."""
    return max((each["step"] for each in accepted(run)), default=0)


def _launches(run: RunDirectory) -> int:
    """How often the training was launched: every launch has a metrics file."""
    return len([*run.path.glob("train/metrics-*.jsonl")])
