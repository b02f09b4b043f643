"""What a small cell costs, from the command to its record, with the fork server and without, side by side in one run.

    python benchmarks/start_up.py --json benchmarks/results/start-up.json

A cell of two steps is run as a user runs it.  Processor seconds are those of all its processes, seconds those on the
wall; both are counted from one change of the cell's status to the next.  Other work on the machine moves the second.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
if not __package__:  # run as a script
    sys.path[0] = str(ROOT)

from benchmarks.races import Race, Target, measured_here  # noqa: E402
from kawhi import fork_server  # noqa: E402

PARTS = {
    "command": "from the command to the first stage",
    "prepare": "prepare",
    "train": "train, until the first step is logged",
    "step": "train, the second step and the end",
    "merge": "merge",
    "evaluate": "evaluate",
    "record": "record",
    "all": "the whole cell",
    "again": "the same command again",
}
SMALLER = Target("a cell of two steps in a third of the processor time", "without the fork server", "at_most", 1 / 3)
_WITHOUT = "without the fork server"
_PR_SET_CHILD_SUBREAPER = 36


def used() -> float:
    """Processor seconds of all processes that this one has started, and they, so far."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def part_of(folder: Path) -> str:
    """Which of :data:`PARTS` a cell whose runs are in this folder is at."""
    for file in folder.glob("runs/*/*/status.json"):
        status = json.loads(file.read_text())
        return "step" if status["stage"] == "train" and status.get("step") else status["stage"]
    return "command"


def measure(words: list[str], folder: Path, *, plainly: bool) -> dict[str, tuple[float, float]]:
    """Wall and processor seconds of each part of a cell.

    Raises:
        RuntimeError: the cell failed.
    """
    paths = [f"paths.{name}={folder / name}" for name in ("runs", "records", "data")]
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), *words, *paths]
    environment = {name: value for name, value in os.environ.items() if name != fork_server.VARIABLE}
    environment |= {fork_server.VARIABLE: "0"} if plainly else {}
    taken: dict[str, tuple[float, float]] = {}

    def add(part: str, end: tuple[float, float], begin: tuple[float, float]) -> None:
        before = taken.get(part, (0.0, 0.0))  # a training and its evaluation are recorded one after the other
        taken[part] = before[0] + end[0] - begin[0], before[1] + end[1] - begin[1]

    def run(parts: bool) -> tuple[float, float]:
        begin = last = (time.perf_counter(), used())
        part = "command"
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
            )
            while process.poll() is None:
                time.sleep(0.1)
                if parts and (now := part_of(folder)) not in (part, "done"):
                    at = time.perf_counter(), used()
                    add(part, at, last)
                    part, last = now, at
            if process.returncode:
                said.seek(0)
                raise RuntimeError(f"the cell failed: {said.read().decode(errors='replace')[-2000:]}")
        end = time.perf_counter(), used()
        if parts:
            add(part, end, last)
        return end[0] - begin[0], end[1] - begin[1]

    taken["all"] = run(parts=True)
    taken["again"] = run(parts=False)
    return taken


def races(words: list[str]) -> list[Race]:
    """Both ways, one after the other."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # an orphan's time must be counted, too
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        forked = measure(words, Path(one), plainly=False)
        plain = measure(words, Path(other), plainly=True)
    found = []
    for section, index in (("start-up processor", 1), ("start-up wall", 0)):
        for part, title in PARTS.items():
            if part in forked and part in plain:
                targets = [SMALLER] if (part, index) == ("all", 1) else []
                found.append(Race(section, title, "s", forked[part][index], {_WITHOUT: plain[part][index]}, targets))
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", help="overrides of the cell, e.g. credit=uniform")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    given = parser.parse_args(arguments)
    found = races(["steps=2", "benchmarks.0.problems=200", *given.words])
    for race in found:
        print(f"{race.section}: {race.setting}: {race.kawhi:.1f} s, {_WITHOUT} {race.rivals[_WITHOUT]:.1f} s")
    if given.json:
        command = " ".join(sys.argv[1:] if arguments is None else arguments)
        measured_here(f"python benchmarks/start_up.py {command}", found).save(given.json)


if __name__ == "__main__":
    main()
