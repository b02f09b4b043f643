"""Training runs as files: what was made once is read, what is missing is made, several side by side."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.made_by import launch_note
from kawhi.lab.own_mistakes import mistakes_told, text_of
from kawhi.lab.policy import Policy
from kawhi.lab.side_by_side import forked
from kawhi.lab.student import Prompter, Schedule, Student, train
from kawhi.lab.study import Row, Study, compose
from kawhi.runs.identity import identity


@dataclass(frozen=True)
class Run:
    """One training that a study asks for.

    Attributes:
        file: where its result is, or will be.
    """

    row: Row
    family: str
    algorithm: str
    cell: DictConfig
    schedule: Schedule
    file: Path

    @property
    def done(self) -> bool:
        return self.file.is_file()

    def result(self) -> dict[str, Any]:
        """Raises:
        CellError: a file that nobody can read.
        """
        try:
            found: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise CellError(f"{self.file} is no run of the lab: remove it and start again ({error})") from error
        return found


def planned(study: Study, families: Sequence[str], seeds: Sequence[int], folder: Path) -> list[Run]:
    """All runs of a study, seed after seed, so that all methods have equally many when it is stopped.

    Raises:
        CellError: a row that cannot be run.
    """
    rows = [(row, family, compose(study, row, family)) for family in families for row in study.rows]
    keys = [asked(cell, study) for _, _, cell in rows]
    return [
        Run(
            row,
            family,
            row.algorithm or study.algorithm,
            cell,
            Schedule(seed, study.every, study.evaluation),
            folder / "runs" / key / f"seed-{seed}.json",
        )
        for seed in seeds
        for (row, family, cell), key in zip(rows, keys, strict=True)
    ]


def asked(cell: DictConfig, study: Study) -> str:
    """A folder's name: of its runs' cells, with the hash of all that their numbers depend on but the seed."""
    what = {"cell": identity(cell), "every": study.every, "evaluation": asdict(study.evaluation)}
    what["method"] = text_of(cell.kawhi.method)
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:10]
    label = re.sub(r"[^a-z0-9]+", "-", f"{cell.credit.label}".lower()).strip("-")
    return f"{cell.model.name}-{cell.algorithm.name}-{label[:60]}-{digest}"


def try_own(runs: Iterable[Run]) -> None:
    """Tries methods from elsewhere on one step's batch, so that a mistake in one shows before anything is trained.

    Raises:
        CellError: of a method that fails.
    """
    own = {run.file.parent: run for run in runs if not run.done and text_of(run.cell.kawhi.method)}
    with forked(1) as pool:  # autograd on an accelerator's machine cannot be forked once it ran, and trainings are
        for run in own.values():
            pool.submit(_try, run).result()


def _try(run: Run) -> None:
    policy = Policy(resolve_package_paths(run.cell.model.path))
    student = Student(run.cell, policy)
    with mistakes_told(run.cell.kawhi.method, student.credit):
        student.step(Prompter(run.cell, policy, run.schedule.seed)(0), 0)


Training = Callable[[DictConfig, Schedule], dict[str, Any]]
"""Trains and measures, as :func:`kawhi.lab.student.train` does."""


def make(runs: Iterable[Run], jobs: int, told: Callable[[Run], None], train: Training = train) -> None:
    """Makes what is missing, and says of each run when it is there.

    Raises:
        CellError: of a run that failed; those beside it are finished first.
    """
    missing = []
    for run in runs:
        if run.done:
            told(run)
        else:
            missing.append(run)
    if jobs == 1:
        for run in missing:
            _make(run, train)
            told(run)
        return
    # Forked, so that they have the methods that were registered here and need not import everything again.
    with forked(jobs) as pool:
        waiting = {pool.submit(_make, run, train): run for run in missing}
        for finished in as_completed(waiting):
            finished.result()
            told(waiting[finished])


def _make(run: Run, train: Training) -> None:
    made_by = launch_note("lab")
    result = train(run.cell, run.schedule)
    about = {
        "label": run.row.label,
        "family": run.family,
        "algorithm": run.algorithm,
        "seed": run.schedule.seed,
        "kawhi": OmegaConf.to_container(run.cell.kawhi, resolve=True),
        "identity": identity(run.cell),
        "schedule": asdict(run.schedule),
        "made_by": made_by,
    }
    write_json(run.file, {**about, **result})
