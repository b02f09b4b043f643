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
        cells: run directories of the sweep.
        records: folders that tables are made from; of a cell in two of them the first one's record counts.
        out: folder of the tables.
        stamp: file that says of which cells the table was made.
        partial: whether cells without a record are left out of it instead of being a failure.
    """

    name: str
    cells: list[Path]
    records: list[Path]
    out: Path
    stamp: Path
    partial: bool

    def made(self) -> bool:
        """Whether there is a table of all these cells; it may have been removed, or be elsewhere."""
        there = self.stamp.exists() and (self.out / f"{self.name}.md").exists()
        return there and json.loads(self.stamp.read_text()) == self._names()

    def __call__(self) -> None:
        """Ends with the exit code of analysis/make_tables.py."""
        missing = [cell for cell in self.cells if not RunDirectory(cell).record.exists()]
        if missing:
            print(f"{len(missing)} of {len(self.cells)} cells have no record:", *missing, sep="\n  ", file=sys.stderr)
            if not self.partial:
                sys.exit(1)
        self._find_records([cell for cell in self.cells if cell not in missing])
        script = Path(__file__).parents[2] / "analysis" / "make_tables.py"
        places = [word for folder in self.records for word in ("--records", str(folder))]
        command = [sys.executable, str(script), self.name, *places, "--out", str(self.out)]
        if code := subprocess.run(command).returncode:
            sys.exit(code)
        if not missing:
            write_json(self.stamp, self._names())

    def _find_records(self, done: list[Path]) -> None:
        """Ends when a record is not where tables look."""
        there = {file.name for folder in self.records for file in folder.glob("*.json")}
        if lost := [cell for cell in done if f"{cell.name}.json" not in there]:
            where = " or ".join(map(str, self.records))
            print(f"{len(lost)} records are not in {where}, which tables are made from; copy:", file=sys.stderr)
            print(*(f"  {cell / 'record.json'} as {cell.name}.json" for cell in lost), sep="\n", file=sys.stderr)
            sys.exit(1)

    def _names(self) -> list[str]:
        return sorted({cell.name for cell in self.cells})
