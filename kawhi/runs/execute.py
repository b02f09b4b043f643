"""One prepared run directory in a process of its own: python -m kawhi.runs.execute RUN_DIRECTORY [train|evaluate]

What a cluster's job runs: the configuration is the one that was saved when the job was submitted.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from kawhi.runs.cell import run_cell
from kawhi.runs.identity import CellError
from kawhi.runs.rundir import RunDirectory
from kawhi.runs.stage import PARTS


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 75 the same may succeed later, 130 interrupted, else a failure that comes again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_directory", type=Path)
    parser.add_argument("part", nargs="?", choices=PARTS)
    given = parser.parse_args(arguments)
    try:
        run_cell(RunDirectory(given.run_directory).load_config(), given.part)
    except CellError as error:
        print(f"error: {error}", file=sys.stderr)
        return getattr(error, "code", 1)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
