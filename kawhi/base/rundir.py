"""A run directory: the folder of a training, or of a model that is not trained, and those of its evaluations.

Layout of ``<paths.runs>/<table>/<name>-<hash>/``::

    config.yaml   overrides.json   stages/<stage>.json   status.json   logs/<stage>.log   train/   record.json
    eval/<task>-<hash>/   an evaluation: config.yaml   overrides.json   stages/<stage>.json   samples.parquet
                          score.json   record.json

``record.json`` is written last and is the only proof that a training, or an evaluation, is done.
"""

from __future__ import annotations

import fcntl
import json
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from kawhi.base import included
from kawhi.base.files import write_atomically, write_json
from kawhi.base.locks import alone

_PLACES = ("paths.", "table=")
_INCLUDE = "include"
"""A key of a saved configuration alone: files and folders of somebody's own (:mod:`kawhi.base.included`)."""
_LOOKED_AT = 0.5  # seconds: one that only looks (`held`) has the lock for a moment


def _as_typed(path: Path) -> Path:
    """Relative to where a command is typed, if it is below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@dataclass(frozen=True)
class RunDirectory:
    """Paths inside the folder of a training, or of an evaluation, which has fewer of them."""

    path: Path

    def existing(self) -> RunDirectory:
        """The folder that there is with this one's hash, whichever experiment made it; this one when there is none."""
        runs, suffix = self.path.parents[1], self.path.name.rpartition("-")[2]
        return next(map(RunDirectory, sorted(runs.glob(f"*/*-{suffix}"))), self)

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def overrides(self) -> Path:
        """What Hydra was given for the cell; where it is kept, which belongs to one machine, left out."""
        return self.path / "overrides.json"

    @property
    def record(self) -> Path:
        return self.path / "record.json"

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def stop_request(self) -> Path:
        """While this file is there, the cell saves what it has, stops, and exits with 75."""
        return self.path / "stop"

    @property
    def attempts(self) -> Path:
        """The cluster's jobs that worked on this cell, oldest first; absent for a cell that ran on one machine."""
        return self.path / "jobs.json"

    @property
    def launches(self) -> Path:
        """What every launch of a stage ran on, oldest first (:func:`kawhi.base.made_by.launch_note`)."""
        return self.path / "launches.json"

    def launch_notes(self) -> list[dict[str, Any]]:
        """What :attr:`launches` holds; empty before there is one."""
        return json.loads(self.launches.read_text()) if self.launches.exists() else []

    def add_launch(self, note: dict[str, Any]) -> None:
        """Adds a note to :attr:`launches`."""
        write_json(self.launches, [*self.launch_notes(), note])

    @property
    def checkpoints(self) -> Path:
        return self.path / "train" / "checkpoints"

    @property
    def set_aside(self) -> Path:
        """Checkpoints of a training that failed a health check, and what was found."""
        return self.path / "train" / "set_aside"

    @property
    def accepted(self) -> Path:
        """What somebody accepted although a health check had failed, and why (``kawhi accept``)."""
        return self.path / "train" / "accepted.json"

    @property
    def merged(self) -> Path:
        return self.path / "train" / "merged"

    @property
    def merge_report(self) -> Path:
        return self.path / "train" / "merge.json"

    def stage(self, name: str) -> Path:
        """Marker of a finished stage."""
        return self.path / "stages" / f"{name}.json"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def evaluation(self, name: str) -> RunDirectory:
        """That of an evaluation, which is called ``<task>-<hash>``."""
        return RunDirectory(self.path / "eval" / name)

    def evaluations(self) -> list[RunDirectory]:
        """All that were asked for, done or not."""
        return [RunDirectory(config.parent) for config in sorted(self.path.glob("eval/*/config.yaml"))]

    @property
    def task(self) -> str:
        """Of an evaluation."""
        return self.path.name.rpartition("-")[0]

    @property
    def evaluated(self) -> RunDirectory:
        """That of the model which this evaluation is of."""
        return RunDirectory(self.path.parents[1])

    @property
    def merged_metrics(self) -> Path:
        """The metrics of a finished training, one row per step."""
        return self.path / "train" / "metrics.jsonl"

    def new_metrics_file(self, after: int = 0) -> Path:
        """An empty metrics file for a launch that begins after this step; what was logged later no longer counts.

        verl truncates its file when it starts, so every launch has one of its own.
        """
        folder = self.path / "train"
        folder.mkdir(parents=True, exist_ok=True)
        number = max((launch for launch, _, _ in self._metrics_files()), default=-1) + 1
        file = folder / (f"metrics-{number}-after-{after}.jsonl" if after else f"metrics-{number}.jsonl")
        file.touch()
        for kept in (*self.step_files("steps"), *self.step_files("tokens")):
            if int(kept.stem) > after:
                kept.unlink()
        return file

    def step_files(self, kind: Literal["steps", "tokens"]) -> list[Path]:
        """What training keeps of each step, in order: ``steps`` a few prompts, ``tokens`` all tokens in histograms."""
        return sorted((self.path / "train" / kind).glob("[0-9]*.json"))

    def _metrics_files(self) -> list[tuple[int, int, Path]]:
        """Launch, the step it began after, and its file, in order."""
        found = []
        for file in (self.path / "train").glob("metrics-*.jsonl"):
            _, number, *after = file.stem.split("-")
            found.append((int(number), int(after[-1]) if after else 0, file))
        return sorted(found)

    def metrics(self) -> list[dict[str, Any]]:
        """verl's metrics by step, ascending.

        A launch overrules the earlier ones from the step it began with, redone or not: it trained from other weights.
        """
        steps: dict[int, dict[str, Any]] = {}
        for _, after, file in self._metrics_files():
            steps = {step: data for step, data in steps.items() if step <= after}
            for line in file.read_text().splitlines():
                try:
                    row = json.loads(line)
                except json.JSONDecodeError:
                    continue  # the last line of a launch that was killed while writing it
                steps[row["step"]] = row["data"]
        return [{"step": step, **steps[step]} for step in sorted(steps)]

    @property
    def processor_file(self) -> Path:
        return self.path / "train" / "processors.json"

    def processors(self) -> dict[str, float]:
        """Processor seconds by step, of those that one launch was seen to begin and to end."""
        return json.loads(self.processor_file.read_text()) if self.processor_file.exists() else {}

    def merge_metrics(self) -> None:
        """Writes the metrics of all launches as one file."""
        write_atomically(self.merged_metrics, "".join(json.dumps(row) + "\n" for row in self.metrics()))

    def save_config(self, cell: DictConfig, overrides: Iterable[str] | None = None) -> None:
        """Writes the configuration, and the overrides it was composed with unless somebody's are there already."""
        own = [str(path) for path in included.named()]
        more = OmegaConf.to_yaml({_INCLUDE: own}) if own and _INCLUDE not in cell else ""
        write_atomically(self.config, OmegaConf.to_yaml(cell, resolve=True) + more)
        if overrides is not None and not self.overrides.exists():
            options = [f"{included.OPTION}={_as_typed(path)}" for path in included.named()]
            write_json(self.overrides, [*options, *(each for each in overrides if not each.startswith(_PLACES))])

    def command(self) -> str | None:
        """What the cell was first asked for by; ``None`` where nobody noted it."""
        if not self.overrides.exists():
            return None
        return shlex.join(["python", "experiments/run.py", *json.loads(self.overrides.read_text())])

    def load_config(self) -> DictConfig:
        """The configuration; what was included for it is included here, too, as far as it is still there."""
        loaded = OmegaConf.load(self.config)
        assert isinstance(loaded, DictConfig)
        included.include(path for path in map(Path, loaded.get(_INCLUDE) or ()) if path.exists())
        return loaded

    def held(self) -> bool:
        """Whether a process on this machine, or on one that shares the folder, works on the cell.

        By a shared lock, so that two who look do not see each other, and of a folder that is another user's.
        """
        try:
            with open(self.path / ".lock") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one process works on a cell.

        Raises:
            CellError: another one does.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        sentence = f"another process is running this cell ({self.path}); wait for it or stop it"
        with alone(self.path / ".lock", sentence, _LOOKED_AT):
            yield
