"""The job after all cells of a sweep: its table."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory


@dataclass
class TableJob:
    """Makes the table of an experiment.

    Attributes:
        name: the experiment's.
        folders: of the trainings and evaluations that the table is made of.
        records: folders that tables are made from; of a cell in two of them the first one's record counts.
        out: folder of the tables.
        stamp: file that says of which cells the table was made.
        partial: whether what has no record is left out of it instead of being a failure.
    """

    name: str
    folders: list[Path]
    records: list[Path]
    out: Path
    stamp: Path
    partial: bool

    def made(self) -> bool:
        """Whether there is a table of all of these; it may have been removed, or be elsewhere."""
        there = self.stamp.exists() and (self.out / f"{self.name}.md").exists()
        return there and json.loads(self.stamp.read_text()) == self._names()

    def __call__(self) -> None:
        """Ends with the exit code of analysis/make_tables.py."""
        missing = [folder for folder in self.folders if not RunDirectory(folder).record.exists()]
        if missing:
            print(f"{len(missing)} of {len(self.folders)} have no record:", *missing, sep="\n  ", file=sys.stderr)
            if not self.partial:
                sys.exit(1)
        self._find_records([folder for folder in self.folders if folder not in missing])
        script = Path(__file__).parents[2] / "analysis" / "make_tables.py"
        places = [word for folder in self.records for word in ("--records", str(folder))]
        command = [sys.executable, str(script), self.name, *places, "--out", str(self.out)]
        if code := subprocess.run(command).returncode:
            sys.exit(code)
        if not missing:
            write_json(self.stamp, self._names())

    def _find_records(self, done: list[Path]) -> None:
        """Ends when a record is not where tables look."""
        # By their hashes: a name has a label in it, and the tables that share a cell may call it differently.
        there = {_hash(file.stem) for folder in self.records for file in folder.glob("*.json")}
        if lost := [folder for folder in done if _hash(folder.name) not in there]:
            where = " or ".join(map(str, self.records))
            print(f"{len(lost)} records are not in {where}, which tables are made from; copy:", file=sys.stderr)
            print(*(f"  {each / 'record.json'} as {_name(each)}.json" for each in lost), sep="\n", file=sys.stderr)
            sys.exit(1)

    def _names(self) -> list[str]:
        return sorted({_name(folder) for folder in self.folders})


def _name(folder: Path) -> str:
    """Of the record in ``paths.records``."""
    evaluation = folder.parent.name == "eval"
    return f"{folder.parents[1].name}_{folder.name}" if evaluation else folder.name


def _hash(name: str) -> str:
    return name.rpartition("-")[2]
