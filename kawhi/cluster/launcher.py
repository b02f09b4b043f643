"""A sweep on a Slurm cluster: check every cell, submit those that are missing as arrays, return.

Training cells are one array, their evaluations another, task by task after the training (``aftercorr``), and the table
comes after all of it.  What is queued or running already, whoever submitted it, is waited for and not submitted again.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from kawhi.base.checkout import ROOT
from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.cluster.arrays import Array, Division, Wanted, divide
from kawhi.cluster.asked import Options, absolute_paths, refuse_two_sizes
from kawhi.cluster.follow import until_ended
from kawhi.cluster.job import CellJob
from kawhi.cluster.snapshot import take
from kawhi.cluster.submit import resources, submit_array
from kawhi.cluster.table_job import TableJob, stamp_content
from kawhi.queue import slurm, submission
from kawhi.queue.site import SITE, read_site
from kawhi.runs import gate
from kawhi.runs.composing import composed, labels, untrained
from kawhi.runs.identity import directory_of
from kawhi.runs.validation import validate

_OURS = ("KAWHI_", "SBATCH_")  # what the shell sets of these wins; of others (PATH) the site file may well add to it


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
        site = read_site(options.site)
        os.environ.update({k: v for k, v in site.items() if not (k.startswith(_OURS) and k in os.environ)})
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
        self.runs, self.name = Path(cells[0].paths.runs), cells[0].folder
        self.config: dict[RunDirectory, DictConfig] = {}
        self.overrides: dict[RunDirectory, Sequence[str]] = {}
        self.wanted: list[Wanted] = []
        baselines: dict[tuple[str, ...], RunDirectory] = {}
        for cell, overrides in zip(cells, job_overrides, strict=True):
            folder, baseline = directory_of(cell), None
            if gate.gated(cell) and not folder.record.exists():
                words = tuple(untrained(overrides))
                if words not in baselines:
                    model = composed(loader, sweep, list(words))
                    absolute_paths(model)
                    baselines[words] = directory_of(model)
                    self.config.setdefault(baselines[words], model)
                    self.overrides.setdefault(baselines[words], words)
                baseline = baselines[words]
            self.config[folder], self.overrides[folder] = cell, overrides
            self.wanted.append(Wanted(folder, cell.study.name, baseline))

    def run(self) -> int:
        """Returns the exit code: 0 when all that is missing was submitted, with ``wait`` when all is done."""
        self._look_at_gates()
        with submission.alone(self.runs):
            self._look_again()
            queue = slurm.queue()
            division = divide(self.wanted, submission.at_work(self.runs, queue))
            with _undisturbed():
                jobs = self._submit(division, queue)
        self._report(division, jobs)
        if not self.options.wait:
            return 0
        views = [(label, wanted.folder.path) for label, wanted in zip(self.labels, self.wanted, strict=True)]
        return until_ended(views, self.runs, self.name, table=self.stamp if "table" in jobs else None)

    @property
    def stamp(self) -> Path:
        """Says of which cells the table was made."""
        return self.runs / submission.FOLDER / "tables" / f"{self.name}.json"

    def _look_again(self) -> None:
        """Another launch may have made the folder of a cell that two tables share, while we waited for our turn."""
        self.config = {folder.existing(): cell for folder, cell in self.config.items()}
        self.overrides = {folder.existing(): words for folder, words in self.overrides.items()}
        self.wanted = [
            replace(wanted, folder=wanted.folder.existing(), baseline=wanted.baseline and wanted.baseline.existing())
            for wanted in self.wanted
        ]

    def _look_at_gates(self) -> None:
        """Raises:
        CellError: an untrained model that was evaluated earlier does not have the paper's score.
        """
        for folder in {w.baseline for w in self.wanted if w.baseline and w.baseline.record.exists()}:
            cell = self.config[folder]
            if cell.gate.stop:
                gate.refuse(gate.findings(cell, folder), folder.path / "eval")

    def _table(self, division: Division, queue: list[slurm.Task]) -> TableJob | None:
        """The table's job, where one is asked for and neither made nor queued for the same cells."""
        cell, folders = self.cells[0], [wanted.folder.path for wanted in self.wanted]
        known = any((ROOT / "conf" / group / f"{self.name}.yaml").is_file() for group in ("experiment", "ablation"))
        if self.options.table == "none" or not known:
            return None
        records = Path(cell.paths.records)
        out = records.parent / "tables"
        if not division.arrays:
            made = (
                self.stamp.exists() and (out / f"{self.name}.md").exists()
            )  # which may have been removed, or be elsewhere
            if made and json.loads(self.stamp.read_text()) == stamp_content(folders):
                return None
            waiting = submission.tables_at_work(self.runs, queue)
            if any(cells == frozenset(folders) for _, cells in waiting):
                return None
        return TableJob(self.name, folders, records, out, self.stamp, partial=self.options.table == "partial")

    def _submit(self, division: Division, queue: list[slurm.Task]) -> dict[str, str]:
        """Array's name -> job id."""
        table = self._table(division, queue)
        if not division.arrays and table is None:
            return {}
        arrays = {array.name: self._told(array.part, [w.folder.path for w in array.cells]) for array in division.arrays}
        if table is not None:
            arrays["table"] = self._told(submission.TABLE, table.cells)
        data = [Path(path) for path in self.cells[0].paths.values()]
        snapshot = take(ROOT, self.runs / submission.FOLDER / "code", without=data)
        new = submission.new(self.runs, folder=self.name, command=sys.argv, snapshot=snapshot, arrays=arrays)
        if table is not None:
            table.stamp.unlink(missing_ok=True)  # of an earlier table: it would hide that this one was not made
        jobs: dict[str, str] = {}
        try:
            self._submit_each(division, table, new, jobs, snapshot)
        except CellError as error:
            already = (
                f"; {', '.join(jobs.values())} are queued and stay, the same command submits the rest" if jobs else ""
            )
            raise CellError(f"{error}{already}") from error
        finally:
            new.queued(jobs)
        return jobs

    def _submit_each(
        self,
        division: Division,
        table: TableJob | None,
        new: submission.Submission,
        jobs: dict[str, str],
        snapshot: Path,
    ) -> None:
        """Adds to ``jobs`` what Slurm has accepted."""
        for array in division.arrays:
            jobs[array.name] = self._submit_cells(array, division, new, jobs, snapshot)
        if table is not None:
            ids = [*jobs.values(), *(task.job_id for tasks in division.queued.values() for task in tasks)]
            kind = "afterany" if table.partial else "afterok"
            jobs["table"] = submit_array(
                new,
                "table",
                [table],
                job_name=f"{self.name}-table",
                parameters=resources(self.cells[0], self.cells[0].scale.slurm.minutes.table, devices=False),
                at_once=1,
                dependency=f"{kind}:{':'.join(dict.fromkeys(ids))}" if ids else None,
                snapshot=snapshot,
            )

    def _told(self, part: str, folders: list[Path]) -> dict[str, Any]:
        return {"part": part, "cells": [str(folder.relative_to(self.runs)) for folder in folders]}

    def _submit_cells(
        self, array: Array, division: Division, new: submission.Submission, jobs: dict[str, str], snapshot: Path
    ) -> str:
        for wanted in array.cells:
            wanted.folder.save_config(self.config[wanted.folder], self.overrides[wanted.folder])
        config = self.config[array.cells[0].folder]
        ids = [jobs.get(name, name) for name in array.after_all]
        dependency = f"afterok:{':'.join(ids)}" if ids else None
        if array.after_each:
            # Of an array of one, submitit makes a plain job, which has no index of its own.
            before = next(other for other in division.arrays if other.name == array.after_each)
            first = f"{jobs[before.name]}_0" if len(before.cells) > 1 else jobs[before.name]
            dependency = f"aftercorr:{jobs[before.name]}" if len(array.cells) > 1 else f"afterok:{first}"
        work = [
            CellJob(w.folder.path, array.part, self.options.attempts, new.id, w.baseline.path if w.baseline else None)
            for w in array.cells
        ]
        return submit_array(
            new,
            array.name,
            work,
            job_name=f"{self.name}-{array.name}",
            parameters=resources(config, config.scale.slurm.minutes[array.part]),
            at_once=self.options.at_once,
            dependency=dependency,
            snapshot=snapshot,
        )

    def _report(self, division: Division, jobs: dict[str, str]) -> None:
        """Says what happened, in a few lines."""
        submitted = {wanted.folder for array in division.arrays for wanted in array.cells}
        queued = division.queued.keys() - submitted
        counts = [f"{len(division.done)} done", f"{len(queued)} queued or running already"]
        counts += [f"{len(division.held)} worked on outside Slurm"] * bool(division.held)
        print(f"{_number(len(self.wanted), 'cell')}: {', '.join(counts)}, {len(submitted)} submitted", flush=True)
        for array in division.arrays:
            after = ", each after its training" if array.after_each else ", after others" if array.after_all else ""
            print(f"  {jobs[array.name]:>8}  {array.name}: {_number(len(array.cells), 'job')}{after}")
        if "table" in jobs:
            print(f"  {jobs['table']:>8}  table, after all")
        elsewhere = sorted({task.array_id for tasks in division.queued.values() for task in tasks} - {*jobs.values()})
        if elsewhere:
            print(f"  of earlier launches: {', '.join(elsewhere)}")
        if jobs or elsewhere:
            print(f"look:  kawhi status {self.name} --runs {self.runs}")
        elif self.stamp.exists():
            print(f"table: {Path(self.cells[0].paths.records).parent / 'tables' / self.name}.md")
        if jobs and not self.options.site.is_file():
            print(f"there is no {SITE} here: the jobs get what the cluster gives by default")
        if jobs:
            print(f"stop:  scancel {' '.join(jobs.values())}", flush=True)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Between asking Slurm for jobs and giving them their work, a closed terminal or Ctrl-C has to wait."""
    before = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
