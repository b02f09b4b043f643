"""A race: contenders measured side by side in one run, and what their ratio has to be.

Standard library only, until a command line is run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

RESULTS = Path(__file__).parent / "results"
_LOAD_AT_START = os.getloadavg()[0]
_PACKAGES = ("torch", "transformers", "numpy", "scipy", "opencv-python-headless", "scikit-image")


@dataclass(frozen=True)
class Target:
    """What is promised of KAWHI against one rival.

    Attributes:
        claim: the promise in words.
        rival: name of a rival; ``None`` where the promise is a number and not a ratio.
        sense: ``at_most``: KAWHI / rival (or KAWHI itself) stays at or below ``limit``; ``at_least``: rival / KAWHI
            reaches it.
    """

    claim: str
    rival: str | None
    sense: Literal["at_most", "at_least"]
    limit: float


@dataclass(frozen=True)
class Race:
    """One measurement of all contenders.

    Attributes:
        section: table of docs/performance.md that shows it.
        setting: what was measured.
        unit: of all values.
        kawhi: KAWHI's value.
        rivals: value of every other contender.
        targets: promises that this race decides.
    """

    section: str
    setting: str
    unit: str
    kawhi: float
    rivals: dict[str, float]
    targets: Sequence[Target] = field(default_factory=tuple)

    def measured(self, target: Target) -> float:
        """What ``target.limit`` is compared with."""
        if target.rival is None:
            return self.kawhi
        rival = self.rivals[target.rival]
        return self.kawhi / rival if target.sense == "at_most" else rival / self.kawhi

    def meets(self, target: Target) -> bool:
        measured = self.measured(target)
        return measured <= target.limit if target.sense == "at_most" else measured >= target.limit


@dataclass(frozen=True)
class Session:
    """The races of one run on one machine.

    Attributes:
        machine: GPU, or processor with its cores.
        load: the machine's load average when the run started; 0 where nothing else ran.
        versions: package -> version.
        date: ISO date (UTC).
        command: what to type to measure it again.
        races: in the order of measurement.
    """

    machine: str
    load: float
    versions: dict[str, str]
    date: str
    command: str
    races: Sequence[Race]

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Session:
        stored = json.loads(file.read_text(encoding="utf-8"))
        races = [Race(**race | {"targets": [Target(**t) for t in race["targets"]]}) for race in stored.pop("races")]
        return cls(**stored, races=races)


def fewest_seconds(contenders: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Processor seconds of each, the fewest of the rounds, in which they take turns; the first call does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            contender()
            start = time.process_time()
            contender()
            seconds[name].append(time.process_time() - start)
    return {name: min(its) for name, its in seconds.items()}


def measured_here(command: str, races: Sequence[Race], machine: str = "") -> Session:
    """What was measured, here and today; ``machine`` names a GPU, otherwise the processor is named."""
    versions = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # a GPU machine needs torch and transformers only
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Session(machine or processor(), round(_LOAD_AT_START, 1), versions, date, command, list(races))


def run_on_one_core(description: str, measure: Callable[[int], Iterable[Race]]) -> None:
    """The command line of a benchmark: prints each race, and saves them all where ``--json`` says.

    Args:
        description: of the program, its first line.
        measure: the races, by the number of rounds.
    """
    import torch

    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the results to this file")
    given = parser.parse_args()
    torch.set_num_threads(1)
    races = []
    for race in measure(given.rounds):
        races.append(race)
        others = ", ".join(f"{name} {value:,.2f}" for name, value in race.rivals.items())
        print(f"{race.section}: {race.setting}: {race.kawhi:,.3f} {race.unit}; {others}", flush=True)
    if given.json:
        command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
        measured_here(command, races, f"{processor()}, one used").save(given.json)


def processor() -> str:
    """Model name of the processor and the number of cores that this process may use."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass  # not Linux: the less exact name has to do
    return f"{name}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"
