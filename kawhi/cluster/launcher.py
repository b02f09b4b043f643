"""A sweep on a Slurm cluster: check every cell, submit those that are missing as arrays, return.

Training cells are one array, their evaluations another, task by task after the training (``aftercorr``), and the table
comes after all of it.  What is queued or running already, whoever submitted it, is waited for and not submitted again.
"""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from kawhi.base.checkout import ROOT, record_folders
from kawhi.base.errors import CellError
from kawhi.base.included import configuration_file
from kawhi.base.table_blocks import GROUPS
from kawhi.cluster.arrays import Array, Division, Wanted, dependency_of, divide, number
from kawhi.cluster.asked import Options, absolute_paths, refuse_two_sizes
from kawhi.cluster.follow import until_ended
from kawhi.cluster.job import CellJob
from kawhi.cluster.snapshot import take
from kawhi.cluster.submit import resources, submit_array
from kawhi.cluster.table_job import TableJob
from kawhi.queue import slurm, submission
from kawhi.queue.site import SITE, use_site
from kawhi.runs import gate
from kawhi.runs.cell import save_evaluations
from kawhi.runs.cell_folders import Place, place_of
from kawhi.runs.composing import composed, labels, untrained
from kawhi.runs.validation import validate
from kawhi.runs.views import CellView


def launch(
    loader, sweep: DictConfig, job_overrides: Sequence[Sequence[str]], given: Mapping[str, Any]
) -> list[JobReturn]:
    """Submits what is missing of a sweep; ends the process with a sentence when a cell could not run.

    Args:
        given: ``hydra.launcher``, see :class:`Options`.
    """
    try:
        options = Options(**{**given, "site": Path(given["site"])})
        if not slurm.installed():
            raise CellError("Slurm's commands are not here: type this on a login node, or use hydra/launcher=local")
        use_site(options.site)
        console = Console(stderr=True)
        shown = track(job_overrides, "composing", console=console, transient=True, disable=not console.is_terminal)
        cells = [composed(loader, sweep, list(overrides)) for overrides in shown]
        for cell in cells:
            validate(cell)
            absolute_paths(cell)
        refuse_two_sizes(cells)
        code = Launch(loader, sweep, cells, job_overrides, options).run()
    except CellError as error:
        sys.exit(f"error: {error}")
    if code:
        sys.exit(code)
    returned = JobReturn(status=JobStatus.COMPLETED)
    returned.return_value = None
    return [returned for _ in cells]


class Launch:
    """One launch of a sweep."""

    def __init__(self, loader, sweep: DictConfig, cells: list[DictConfig], job_overrides, options: Options):
        self.options, self.cells, self.labels = options, cells, labels(cells)
        self.runs, self.name = Path(cells[0].paths.runs), cells[0].table
        self.asked: dict[Place, tuple[DictConfig, Sequence[str]]] = {}  # configuration and overrides
        self.wanted: list[Wanted] = []
        self.complete = True  # whether no cell was left out
        baselines: dict[tuple[str, ...], Place] = {}
        for cell, overrides in zip(cells, job_overrides, strict=True):
            place, baseline = place_of(cell), None
            if gate.gated(cell) and not place.trained:
                words = tuple(untrained(overrides))
                if words not in baselines:
                    model = composed(loader, sweep, list(words))
                    absolute_paths(model)
                    baselines[words] = place_of(model)
                    self.asked.setdefault(baselines[words], (model, words))
                baseline = baselines[words]
            self.asked[place] = cell, overrides
            self.wanted.append(Wanted(place, baseline))

    def run(self) -> int:
        """Returns the exit code: 0 when all that is missing was submitted, with ``wait`` when all is done."""
        refused = self._look_at_gates()
        with submission.alone(self.runs):
            self._look_again()
            queue = slurm.queue()
            division = divide(self.wanted, submission.at_work(self.runs, queue))
            with _undisturbed():
                jobs = self._submit(division, queue)
        self._report(division, jobs)
        if not self.options.wait:
            return int(refused)
        views = [CellView(label, wanted.place) for label, wanted in zip(self.labels, self.wanted, strict=True)]
        return until_ended(views, self.runs, self.name, table=self.stamp if self._tabled else None) or int(refused)

    @property
    def stamp(self) -> Path:
        """Says of which cells the table was made."""
        return self.runs / submission.FOLDER / "tables" / f"{self.name}.json"

    @property
    def _tabled(self) -> bool:
        """Whether there is to be a table."""
        known = any(configuration_file(group, self.name) for group in GROUPS)
        return known and self.options.table != "none" and (self.complete or self.options.table == "partial")

    def _look_again(self) -> None:
        """Another launch may have made the folder of a cell that two tables share, while we waited for our turn."""
        self.asked = {place.existing(): its for place, its in self.asked.items()}
        self.wanted = [
            Wanted(wanted.place.existing(), wanted.baseline and wanted.baseline.existing()) for wanted in self.wanted
        ]

    def _look_at_gates(self) -> bool:
        """Leaves out the cells of untrained models that were evaluated earlier and do not have the paper's score.

        Returns:
            Whether there are any.

        Raises:
            CellError: nothing else was asked for.
        """
        refused = {w.baseline: why for w in self.wanted if w.baseline and (why := self._refusal(w.baseline))}
        kept = [w.baseline not in refused for w in self.wanted]
        if not any(kept):
            raise next(iter(refused.values()))
        for why in refused.values():
            print(f"error: {why}", file=sys.stderr)
        self.labels = [*itertools.compress(self.labels, kept)]
        self.wanted = [*itertools.compress(self.wanted, kept)]
        self.complete = all(kept)
        return not self.complete

    def _refusal(self, baseline: Place) -> CellError | None:
        """Why nothing may be trained from an untrained model, as far as that is known."""
        cell, _ = self.asked[baseline]
        try:
            if baseline.done and cell.gate.stop:
                gate.refuse(gate.findings(cell, baseline.evaluations), baseline.run.path / "eval")
        except CellError as why:
            return why
        return None

    def _table(self, division: Division, queue: list[slurm.Task]) -> TableJob | None:
        """The table's job, where one is asked for and neither made nor queued for the same cells."""
        if not self._tabled:
            return None
        records = Path(self.cells[0].paths.records)
        read = record_folders(records)
        folders = [*dict.fromkeys(folder for wanted in self.wanted for folder in wanted.place.folders)]
        partial = self.options.table == "partial"
        table = TableJob(self.name, folders, read, records.parent / "tables", self.stamp, partial)
        if division.arrays:
            return table
        waiting = [cells for _, cells in submission.tables_at_work(self.runs, queue)]
        return None if table.made() or frozenset(folders) in waiting else table

    def _submit(self, division: Division, queue: list[slurm.Task]) -> dict[str, str]:
        """Array's name -> job id."""
        table = self._table(division, queue)
        if not division.arrays and table is None:
            return {}
        new = self._announce(division, table)
        jobs: dict[str, str] = {}
        try:
            for array in division.arrays:
                jobs[array.name] = self._submit_cells(array, dependency_of(array, division.arrays, jobs), new)
            if table is not None:
                jobs[submission.TABLE] = self._submit_table(table, division, new, jobs)
        except CellError as error:
            if not jobs:
                raise
            already = f"{', '.join(jobs.values())} are queued and stay, the same command submits the rest"
            raise CellError(f"{error}; {already}") from error
        finally:
            new.queued(jobs)
        return jobs

    def _announce(self, division: Division, table: TableJob | None) -> submission.Submission:
        """Copies the code, and notes what the jobs will work on, before there are any."""

        def told(part: str, folders: Sequence[Path], evaluations: Sequence[Sequence[str]] = ()) -> dict[str, Any]:
            cells = [str(folder.relative_to(self.runs)) for folder in folders]
            return {"part": part, "cells": cells, "evaluations": evaluations}

        arrays = {
            array.name: told(array.part, [w.folder.path for w in array.cells], [*map(array.evaluations, array.cells)])
            for array in division.arrays
        }
        data = [Path(path) for path in self.cells[0].paths.values()]
        snapshot = take(ROOT, self.runs / submission.FOLDER / "code", without=data)
        if table is not None:
            arrays[submission.TABLE] = told(submission.TABLE, table.folders)
            table.stamp.unlink(missing_ok=True)  # of an earlier table: it would hide that this one was not made
        return submission.new(self.runs, folder=self.name, command=sys.argv, snapshot=snapshot, arrays=arrays)

    def _submit_cells(self, array: Array, dependency: str | None, new: submission.Submission) -> str:
        folders = {wanted.folder for wanted in array.cells}
        asked = [(place, *its) for place, its in self.asked.items() if place.run in folders]
        for place, cell, overrides in asked:
            place.run.save_config(cell, overrides)
            save_evaluations(cell, place, overrides)
        config = asked[0][1]
        work = [self._job(wanted, array, new) for wanted in array.cells]
        parameters = resources(config, config.scale.slurm.minutes[array.part])
        parameters |= {"job_name": f"{self.name}-{array.name}", "array_parallelism": self.options.at_once}
        return submit_array(new, array.name, work, parameters, dependency)

    def _job(self, wanted: Wanted, array: Array, new: submission.Submission) -> CellJob:
        # A training waits for the scores of the untrained model; its evaluation comes after the training.
        gate = wanted.baseline.evaluations if wanted.baseline and array.part == "train" else ()
        return CellJob(
            wanted.folder.path,
            array.part,
            self.options.attempts,
            new.id,
            baseline=[each.path for each in gate],
            evaluations=array.evaluations(wanted),
        )

    def _submit_table(
        self, table: TableJob, division: Division, new: submission.Submission, jobs: dict[str, str]
    ) -> str:
        ids = [*jobs.values(), *(task.job_id for tasks in division.queued.values() for task in tasks)]
        kind = "afterany" if table.partial else "afterok"
        dependency = f"{kind}:{':'.join(dict.fromkeys(ids))}" if ids else None
        parameters = resources(self.cells[0], self.cells[0].scale.slurm.minutes.table, devices=False)
        parameters["job_name"] = f"{self.name}-table"
        return submit_array(new, submission.TABLE, [table], parameters, dependency)

    def _report(self, division: Division, jobs: dict[str, str]) -> None:
        """Says what happened, in a few lines."""
        print(self._counts(division), flush=True)
        for array in division.arrays:
            print(f"  {jobs[array.name]:>8}  {array}")
        if submission.TABLE in jobs:
            print(f"  {jobs[submission.TABLE]:>8}  table, after all")
        elsewhere = sorted({task.array_id for tasks in division.queued.values() for task in tasks} - {*jobs.values()})
        if elsewhere:
            print(f"  of earlier launches: {', '.join(elsewhere)}")
        self._hint(jobs, bool(elsewhere))

    def _hint(self, jobs: dict[str, str], elsewhere: bool) -> None:
        """How to go on."""
        if jobs or elsewhere:
            print(f"look:  kawhi status {self.name} --runs {self.runs}")
        elif self.stamp.exists():
            print(f"table: {Path(self.cells[0].paths.records).parent / 'tables' / self.name}.md")
        if jobs and not self.options.site.is_file():
            print(f"there is no {SITE} here: the jobs get what the cluster gives by default")
        if jobs:
            print(f"stop:  scancel {' '.join(jobs.values())}", flush=True)

    def _counts(self, division: Division) -> str:
        given = {folder for array in division.arrays for cell in array.cells for folder in array.folders(cell)}
        missing = [wanted for wanted in self.wanted if not wanted.place.done]
        submitted = [bool(given & {wanted.folder, *wanted.place.missing}) for wanted in missing]
        queued = [w for w, now in zip(missing, submitted, strict=True) if not now and w.folder in division.queued]
        held = [f"{len(division.held)} worked on outside Slurm"] * bool(division.held)
        gates = {cell.folder for array in division.arrays for cell in array.cells} - {w.folder for w in self.wanted}
        counts = [f"{len(self.wanted) - len(missing)} done", f"{len(queued)} queued or running already", *held]
        return f"{number(len(self.wanted), 'cell')}: {', '.join(counts)}, {sum(submitted) + len(gates)} submitted"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Between asking Slurm for jobs and giving them their work, a closed terminal or Ctrl-C has to wait."""
    before = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
