"""Where a cell's work is kept: the run directory of its training, or of the untrained model, and its evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import STAGES, evaluates
from kawhi.records.hashing import config_hash
from kawhi.runs.identity import cell_hash, cell_name, evaluation_identity


@dataclass(frozen=True)
class Place:
    """The folders of a cell.

    Attributes:
        run: of the training, or of a model that is not trained.
        evaluations: one for each benchmark of the cell, in their order.
    """

    run: RunDirectory
    study: str
    evaluations: tuple[RunDirectory, ...] = ()

    @property
    def records(self) -> tuple[Path, ...]:
        """Those that prove that the cell is done."""
        own = (self.run.record,) if "record" in STAGES[self.study] else ()
        return *own, *(each.record for each in self.evaluations)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Those of the records: of the training, where there is one, and of the evaluations."""
        return tuple(record.parent for record in self.records)

    @property
    def done(self) -> bool:
        return all(record.exists() for record in self.records)

    @property
    def trained(self) -> bool:
        """Whether nothing is left but evaluations."""
        return "record" not in STAGES[self.study] or self.run.record.exists()

    @property
    def missing(self) -> tuple[RunDirectory, ...]:
        """Evaluations without a record."""
        return tuple(each for each in self.evaluations if not each.record.exists())

    def existing(self) -> Place:
        """That of a run directory which another table has made meanwhile."""
        run = self.run.existing()
        return replace(self, run=run, evaluations=tuple(run.evaluation(each.path.name) for each in self.evaluations))


def place_of(cell: DictConfig, *, planned: bool = False) -> Place:
    """The folders of a cell: existing ones with its hash, whichever table made them, else a new one's.

    Args:
        planned: as for :func:`kawhi.runs.identity.identity`.

    Raises:
        CellError: as :func:`kawhi.runs.identity.identity`.
    """
    # Absolute, because processes are found by it: two checkouts must not end each other's.
    runs, own = Path(cell.paths.runs).resolve(), cell_hash(cell, planned=planned)
    run = RunDirectory(runs / cell.table / f"{cell_name(cell)}-{own}").existing()
    asked = cell.benchmarks if evaluates(cell) else []
    names = [f"{each.task}-{config_hash(evaluation_identity(cell, each, own))}" for each in asked]
    return Place(run, cell.study.name, tuple(map(run.evaluation, names)))


def cell_of_one(cell: DictConfig, number: int) -> DictConfig:
    """The cell with one of its benchmarks alone: the configuration of an evaluation."""
    one = deepcopy(cell)
    one.benchmarks = [cell.benchmarks[number]]
    return one


def cells_of(evaluations: Sequence[RunDirectory]) -> list[DictConfig]:
    """The cells that ask for these evaluations of one model: one for each way in which it is evaluated."""
    found: list[tuple[DictConfig, list[Any]]] = []
    for cell in [each.load_config() for each in evaluations]:
        (benchmark,) = cell.pop("benchmarks")
        together = next((asked for other, asked in found if other == cell), None)
        if together is None:
            found.append((cell, together := []))
        together.append(benchmark)
    for cell, asked in found:
        cell.benchmarks = asked
    return [cell for cell, _ in found]
