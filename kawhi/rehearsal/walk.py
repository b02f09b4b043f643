"""Walks a cell's road: every stage by the commands that a sweep or a cluster's job runs, each timed and checked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kawhi import fork_server
from kawhi.base import resources
from kawhi.base.checkout import ROOT
from kawhi.base.errors import CellError
from kawhi.base.processes import belonging_to, die_with_parent, end_stragglers
from kawhi.base.rundir import RunDirectory
from kawhi.records.folder import read_folder
from kawhi.rehearsal.drawn_data import ANSWERS, LAYOUTS
from kawhi.rehearsal.model_stand_in import write_stand_in
from kawhi.rehearsal.real_model import ROWS
from kawhi.rehearsal.rehearsed import JUDGE, Rehearsed, judge_says
from kawhi.runs import gate
from kawhi.runs.cell import save_evaluations
from kawhi.runs.cell_folders import Place, place_of
from kawhi.runs.checkpoints import usable_steps
from kawhi.runs.stages import StageFailed
from kawhi.runs.validation import validate
from kawhi.runs.verl_command import environment

SAYS = [
    f"{opening}\\boxed{{{answer}}}"
    for answer in ANSWERS
    for opening in (
        "",
        "We look at the picture.\n\n",
        "We look at the picture.\n\nIts lines meet, so we count them:\n\n",
    )
]
"""Answers of the policy's stand-in: of one to three paragraphs, and right as often as not all of a group are."""
MEMORY_GIB = {"qwen2_5_vl": 12, "qwen3_vl": 8}
"""By family; measured with two ranks: 11.4 and 7.2 GiB.  With less, Ray ends workers in the middle of a step."""
SAME = 1e-5
"""Measured in bf16 on a CPU: exactly 0 where both are given the same, 8e-4 for a stand-in without its images."""
DISK_GIB = 10  # measured: 4 GB, of checkpoints most
REAL_NEEDS_GIB = (48, 200)
"""Memory and disk with a published model of 3.75 B parameters: our choice, weights of actor and vLLM and Ray's object
store; three checkpoints of 45 GB, the merged model and the download."""
_PYTHON = sys.executable  # as the launcher of a sweep: what a cell's process starts comes from the fork server


@dataclass
class Walk:
    """One cell's rehearsal.

    Attributes:
        folder: everything is written below it.
        seconds: of each stage, in order.
    """

    asked: Rehearsed
    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def walk(self) -> None:
        """Raises:
        CellError: the first stage that failed, and why.
        """
        cell = self.asked.cell
        memory, disk = REAL_NEEDS_GIB if self.asked.real else (MEMORY_GIB[cell.model.family], DISK_GIB)
        resources.require(memory_gib=memory, disk_gib=disk, folder=self.folder)
        with self._stage("stand-ins"):
            self._write_models()
        with self._stage("prepare"):
            self._prepare()
        validate(self.asked.baseline)
        validate(cell)
        here = environment(cell, self.folder / "unused")
        with fork_server.running(here, wanted=cell.scale.device == "cpu"):
            baseline = place_of(self.asked.baseline)
            with self._stage("gate"):
                self._evaluate(baseline)
                if gate.gated(cell):
                    gate.compare(cell, baseline.evaluations)
            place = place_of(cell)
            save(self.asked.cell, place, self.asked.overrides)
            with self._stage("train to the first checkpoint"):
                self._train_until_killed(place.run)
            with self._stage("resume and merge"):
                self._resume(place)
            with self._stage("evaluate and judge"):
                self._evaluate(place)
        with self._stage("records and table"):
            self._check_records([*baseline.records, *place.records])
            self._table()

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        print(f"[{sum(self.seconds.values()):5.0f} s] {name}", flush=True)
        try:
            yield
        except CellError as error:
            sentence = f"the rehearsal stopped at the stage {name}: {error}"
            raise StageFailed(sentence, getattr(error, "code", 1)) from error
        finally:
            self.seconds[name] = time.monotonic() - start

    def _write_models(self) -> None:
        models = self.folder / "models"
        if not self.asked.real:
            write_stand_in(models / "policy", self.asked.published, self.asked.pixels, SAYS)
        if self.asked.cell.judge:
            write_stand_in(models / "judge", JUDGE, (65536, 16777216), judge_says(self.asked.cell))

    def _prepare(self) -> None:
        """The cell's own data set by the command that a user types."""
        cell = self.asked.cell
        out, length = Path(cell.data.train_file).parent, cell.verl.data.max_prompt_length
        words = ["--model", cell.model.path, "--max-prompt-length", length, "--out", out]
        if self.asked.real:
            words += ["--limit", ROWS]
        else:
            source = self.folder / "sources" / cell.data.name
            LAYOUTS[cell.data.name](source)
            words += ["--from", source]
        _require([_PYTHON, "-m", "kawhi", "prepare", cell.data.name, *map(str, words)])

    def _evaluate(self, place: Place) -> None:
        cell = self.asked.baseline if place.study == "baseline" else self.asked.cell
        save(cell, place, self.asked.overrides)
        self._execute(place.run, "evaluate", "--evaluations", *(each.path.name for each in place.evaluations))

    def _train_until_killed(self, run: RunDirectory) -> None:
        """Kills the cell, and all that it started, as soon as there is a checkpoint to go on from."""

        def saved() -> bool:
            return bool(usable_steps(run.checkpoints, run.metrics()))

        self._execute(run, "train", until=saved)
        end_stragglers(run.path)
        if left := belonging_to(run.path):
            raise CellError(f"{len(left)} processes of {run.path} outlived the kill, the first of them {left[0].pid}")

    def _resume(self, place: Place) -> None:
        self._execute(place.run, "train")
        launches = sorted((place.run.path / "train").glob("metrics-*.jsonl"))
        if len(launches) != 2 or "-after-" not in launches[1].name:
            raise CellError(
                f"the training did not go on from its checkpoint: it left {[each.name for each in launches]}"
            )
        cell = self.asked.cell
        if cell.scale.device == "cpu" and cell.verl.actor_rollout_ref.actor.use_kl_loss:
            require_same_reference(place.run.metrics())

    def _execute(self, run: RunDirectory, *words: str, until: Callable[[], bool] | None = None) -> None:
        """A cell's process, as a cluster's job starts it.

        Args:
            until: kill it as soon as this holds.

        Raises:
            CellError: as the process says; or it ended before ``until`` held.
        """
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                [_PYTHON, "-m", "kawhi.runs.execute", str(run.path), *words],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
            told = ""
            try:
                while process.poll() is None:
                    if until and until():
                        return
                    told = self._tell(run, told)
                    time.sleep(0.5)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
        if process.returncode:
            told = next((line for line in lines if line.startswith("error: ")), lines[-1])
            raise StageFailed(told.removeprefix("error: "), process.returncode)
        if until:
            raise CellError("the training ended before it could be killed: steps is too small for a rehearsal")

    def _tell(self, run: RunDirectory, told: str) -> str:
        """Prints where a cell is when that has changed."""
        status = json.loads(run.status.read_text()) if run.status.exists() else {}
        now = " ".join(str(status[key]) for key in ("stage", "step") if key in status)
        if now and now != told:
            print(f"          {now}", flush=True)
        return now

    def _check_records(self, files: Sequence[Path]) -> None:
        """Raises:
        CellError: a record that is missing, not sound, or that counts as measured.
        """
        if missing := [str(file) for file in files if not file.exists()]:
            raise CellError(f"there is no record {', '.join(missing)}")
        found = read_folder(Path(self.asked.cell.paths.records))
        if found.refused:
            raise CellError(f"a record is not sound: {found.refused[0]}")
        if measured := [str(file) for file, each in found.records.items() if each.provenance != "tiny"]:
            raise CellError(f"records of a rehearsal count as measured: {', '.join(measured)}")
        print(f"          {len(found.records)} records are sound", flush=True)

    def _table(self) -> None:
        name, out = self.asked.cell.table, self.folder / "tables"
        if name == "none":
            print("          the words ask for no table", flush=True)
            return
        program = str(ROOT / "analysis" / "make_tables.py")
        _require([_PYTHON, program, name, "--records", str(self.asked.cell.paths.records), "--out", str(out)])
        print(f"          table: {out / name}.md", flush=True)


def require_same_reference(metrics: Sequence[dict[str, float]]) -> None:
    """Raises:
    CellError: the reference policy says something else of the first step's responses than the actor it is a copy of.
    """
    if not abs(found := metrics[0]["actor/kl_loss"]) < SAME:
        raise CellError(
            f"actor/kl_loss is {found:.2g} at step 1, where actor and reference have the same weights: the reference "
            "is given other inputs than the actor, e.g. no images"
        )


def save(cell, place: Place, overrides: Sequence[str]) -> None:
    """Writes a cell's configuration, as who submits a job does."""
    place.run.save_config(cell, overrides)
    save_evaluations(cell, place, overrides)


def _require(command: list[str]) -> str:
    """Runs a command of ours; returns what it printed.

    Raises:
        CellError: it failed, as it says.
    """
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise CellError((done.stderr.strip().splitlines() or ["no message"])[-1].removeprefix("error: "))
    return done.stdout
