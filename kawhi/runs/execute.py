"""One prepared cell in a process of its own: python -m kawhi.runs.execute RUN_DIRECTORY [train|evaluate]

What a cluster's job runs: the configuration is the one that was saved when the job was submitted.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import PARTS
from kawhi.runs import gate
from kawhi.runs.cell import run_cell
from kawhi.runs.cell_folders import cells_of
from kawhi.runs.stages import TRY_AGAIN, Status, Stopped


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 75 the same may succeed later, 130 interrupted, else a failure that comes again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_directory", type=Path)
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("--evaluations", nargs="+", default=(), metavar="NAME", help="what is asked for of its eval/")
    parser.add_argument(
        "--baseline", nargs="+", type=Path, help="evaluations of the untrained model, which must pass the gate"
    )
    given = parser.parse_args(arguments)
    run_directory = RunDirectory(given.run_directory)
    evaluations = [run_directory.evaluation(name) for name in given.evaluations]
    failed: list[CellError] = []
    for cell in cells_of(evaluations) if evaluations else [run_directory.load_config()]:
        try:
            if given.baseline:
                _pass_gate(cell, run_directory, [*map(RunDirectory, given.baseline)])
            run_cell(cell, given.part)
        except CellError as error:
            print(f"error: {error}", file=sys.stderr)
            failed.append(error)
            if isinstance(error, Stopped):
                break
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here", file=sys.stderr)
            return 130
        else:
            if failed:  # what came after it went well, and has said so
                Status(run_directory, cell.steps).set("failed", reason=str(failed[0]))
    codes = [getattr(error, "code", 1) for error in failed]
    return TRY_AGAIN if TRY_AGAIN in codes else next(iter(codes), 0)


def _pass_gate(cell: DictConfig, run_directory: RunDirectory, baseline: Sequence[RunDirectory]) -> None:
    """Raises:
    CellError: the untrained model was not evaluated, or does not have the paper's score.
    """
    try:
        if missing := [str(each.path) for each in baseline if not each.record.exists()]:
            raise CellError(f"the untrained model was not evaluated: {', '.join(missing)} has no record")
        gate.compare(cell, baseline)
    except CellError as error:
        Status(run_directory, cell.steps).set("failed", reason=str(error))
        raise


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
