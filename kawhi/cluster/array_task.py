"""One cell of a table as a task of an array: python -m kawhi.cluster.array_task EXPERIMENT[,EXPERIMENT...] [OVERRIDES]

What the scripts of ``slurm/`` run.  The task's index is the cell's place in the table; a cell of several tables counts
once.  Whenever a cell is done, the tables that it stands in are made from all records there are.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from kawhi.base.checkout import ROOT
from kawhi.base.errors import CellError, DataMissing
from kawhi.cluster.asked import absolute_paths
from kawhi.cluster.job import CellJob
from kawhi.queue import submission
from kawhi.runs import gate
from kawhi.runs.composing import compose_cells
from kawhi.runs.identity import directory_of
from kawhi.runs.validation import validate
from kawhi.runs.verl_command import to_override

ATTEMPTS = 3
"""How often exit code 75 queues a task again; as the launcher's."""

_PLACES = {
    "KAWHI_SCALE": "scale",
    "KAWHI_RUNS": "paths.runs",
    "KAWHI_RECORDS": "paths.records",
    "KAWHI_DATA": "paths.data",
}


@dataclass(frozen=True)
class TableCell:
    """One cell of one or several tables.

    Attributes:
        tables: the experiments it stands in.
        overrides: what Hydra gets for it.
    """

    config: DictConfig
    tables: tuple[str, ...]
    overrides: list[str]


def site_overrides(environment: Mapping[str, str], given: Sequence[str]) -> list[str]:
    """What ``slurm/site.env`` says, in front of the overrides of the command line, which win."""
    said = {word.split("=", 1)[0].lstrip("+~") for word in given}
    site = [
        f"{key}={to_override(environment[name])}"
        for name, key in _PLACES.items()
        if environment.get(name) and key not in said
    ]
    return [*site, *given]


def table_cells(experiments: Sequence[str], overrides: Sequence[str], conf: Path = ROOT / "conf") -> list[TableCell]:
    """The cells of some tables in their order, each once.

    Raises:
        hydra.errors.HydraException, TableError: an override or an experiment that does not exist.
    """
    found: dict[str, TableCell] = {}
    for experiment in experiments:
        cells, rows = compose_cells(conf, [f"experiment={experiment}", *overrides])
        for cell, row in zip(cells, rows, strict=True):
            content: Any = OmegaConf.to_container(cell, resolve=True)
            content.pop("folder")  # where it is kept; the same cell of another table is kept once
            key = json.dumps(content, sort_keys=True, default=str)
            earlier = found.get(key)
            found[key] = TableCell(
                earlier.config if earlier else cell,
                (*(earlier.tables if earlier else ()), experiment),
                earlier.overrides if earlier else row,
            )
    return list(found.values())


def chosen(count: int, environment: Mapping[str, str]) -> int:
    """The index that Slurm gave this task; says so when the array leaves cells out.

    Raises:
        CellError: there is none, or no cell has it.
    """
    text, every = environment.get("SLURM_ARRAY_TASK_ID"), f"--array=0-{count - 1}"
    if text is None:
        raise CellError(
            f"this is no task of an array: submit the script with sbatch {every}, which is all {count} cells"
        )
    if int(text) >= count:
        raise CellError(f"there are {count} cells, 0 to {count - 1}, and this is task {text}: say sbatch {every}")
    tasks = int(environment.get("SLURM_ARRAY_TASK_COUNT", count))
    if tasks < count:
        print(f"warning: this array has {tasks} of {count} cells; {every} is all of them", flush=True)
    return int(text)


def run_task(cell: TableCell, conf: Path = ROOT / "conf") -> int:
    """Runs the cell; returns its exit code.

    Raises:
        CellError: a cell that could not run.
    """
    validate(cell.config)
    absolute_paths(cell.config)
    baseline = _baseline(cell, conf) if gate.gated(cell.config) else None
    with submission.alone(Path(cell.config.paths.runs)):  # tables share cells: the first task makes the folder
        folder = directory_of(cell.config)
        print(f"cell: {' '.join(cell.overrides)}\n{folder.path}", flush=True)
        if folder.record.exists():
            print("it has a record already", flush=True)
            return 0
        folder.save_config(cell.config, cell.overrides)
    return CellJob(folder.path, None, ATTEMPTS, baseline=baseline).main()


def _baseline(cell: TableCell, conf: Path) -> Path | None:
    """Run directory of the untrained model, if it was evaluated."""
    words = [*(word for word in cell.overrides if not word.startswith("study=")), "study=baseline"]
    with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
        config = compose("run", overrides=words)
    absolute_paths(config)
    found = directory_of(config)
    if found.record.exists():
        return found.path
    print(
        f"warning: {found.path} has no record, so nobody knows whether the untrained model has the paper's score; run "
        "the table's study=baseline tasks first to have it checked",
        flush=True,
    )
    return None


def make_table(name: str, cells: Sequence[TableCell], records: Path) -> int:
    """Makes one table from all records there are; returns 0 unless it fails with all of its cells done.

    A task comes here after its own record is written.  Tasks take turns, so the last one sees the records of all.
    """
    missing = [cell for cell in cells if name in cell.tables and not _recorded(cell)]
    total = sum(name in cell.tables for cell in cells)
    out = records.parent / "tables"
    out.mkdir(parents=True, exist_ok=True)
    with open(out / f".{name}.lock", "a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        command = [sys.executable, str(ROOT / "analysis" / "make_tables.py"), name]
        code = subprocess.run([*command, "--records", str(records), "--out", str(out)]).returncode
    print(f"table {name}: {total - len(missing)} of {total} cells have a record", flush=True)
    if code:
        told = f"error: the table {name} lacks records, see above; `python analysis/make_tables.py {name}`"
        print(told, file=sys.stderr)
    return 0 if missing else code


def _recorded(cell: TableCell) -> bool:
    absolute_paths(cell.config)
    try:
        folder = directory_of(cell.config).path
    except DataMissing:
        return False
    # Opening the folder asks a network disk for its newest state; `exists` may be answered from a cache.
    return folder.is_dir() and "record.json" in os.listdir(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """The cell's exit code; 1 and one sentence for a mistake."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from kawhi.runs.table_rows import TableError

    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not words or "=" in words[0]:
            raise CellError("say which table: python -m kawhi.cluster.array_task main_table [overrides]")
        cells = table_cells(words[0].split(","), site_overrides(os.environ, words[1:]))
        cell = cells[chosen(len(cells), os.environ)]
        code = run_task(cell)
        if code:
            return code
        records = Path(cell.config.paths.records)
        return max(make_table(name, cells, records) for name in cell.tables)
    except (CellError, TableError, HydraException, OmegaConfBaseException) as error:
        sentence = str(error).split("Config search path")[0]
        print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
