"""One prepared run directory in a process of its own: python -m kawhi.runs.execute RUN_DIRECTORY [train|evaluate]

What a cluster's job runs: the configuration is the one that was saved when the job was submitted.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import PARTS
from kawhi.runs import gate
from kawhi.runs.cell import Status, run_cell


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 75 the same may succeed later, 130 interrupted, else a failure that comes again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_directory", type=Path)
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("--baseline", type=Path, help="run directory of the untrained model, which must pass the gate")
    given = parser.parse_args(arguments)
    run_directory = RunDirectory(given.run_directory)
    cell = run_directory.load_config()
    try:
        if given.baseline:
            _pass_gate(cell, run_directory, RunDirectory(given.baseline))
        run_cell(cell, given.part)
    except CellError as error:
        print(f"error: {error}", file=sys.stderr)
        return getattr(error, "code", 1)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _pass_gate(cell: DictConfig, run_directory: RunDirectory, baseline: RunDirectory) -> None:
    """Raises:
    CellError: the untrained model was not evaluated, or does not have the paper's score.
    """
    try:
        if not baseline.record.exists():
            raise CellError(f"the untrained model was not evaluated: {baseline.path} has no record")
        gate.compare(cell, baseline)
    except CellError as error:
        Status(run_directory, cell.steps).set("failed", reason=str(error))
        raise


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
