"""Processor seconds of a training step of the CPU world, by kind of process; the first two steps do not count.

    python benchmarks/step_cost.py [--steps 12] [credit=uniform ...]

Trains a cell of the demo in a temporary folder.  Other work on the machine adds to processor seconds, too: it takes the
caches away, and a wait that polls lasts longer.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
if not __package__:  # run as a script
    sys.path[0] = str(ROOT)

from kawhi.base.processes import belonging_to  # noqa: E402

KINDS = {
    "WorkerDict": "actor",
    "AgentLoopWorker": "agent loop",
    "vLLMHttpServer.launch_server": "vLLM's engine core and worker",
    "vLLMHttpServer": "vLLM's server",
    "RewardLoopWorker": "reward",
    "TaskRunner": "trainer",
    "SimpleStorageUnit": "TransferQueue",
    "TransferQueueController": "TransferQueue",
    "LoadBalancer": "load balancer",
}
"""Part of a process's title -> what it is; the first that fits."""
WARM_UP = 2


def kind(title: str) -> str:
    return next((name for part, name in KINDS.items() if part in title), "Ray itself, idle workers, driver")


def spent(run: Path) -> Counter[str]:
    """Processor seconds until now, by kind."""
    found: Counter[str] = Counter()
    for process in belonging_to(run):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            times, title = process.cpu_times(), " ".join(process.cmdline())
            found[kind(title)] += times.user + times.system + times.children_user + times.children_system
    return found


def measure(steps: int, overrides: list[str]) -> tuple[Counter[str], float]:
    """Seconds per step: processor, by kind, and on the wall.

    Raises:
        RuntimeError: the training failed; its log was shown.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"paths.{name}={folder}/{name}" for name in ("runs", "records", "data")]
        command = [sys.executable, str(ROOT / "experiments" / "run.py"), "study=timing", f"steps={steps}", *paths]
        cell = subprocess.Popen([*command, *overrides])
        seen: list[tuple[int, float, Counter[str]]] = []
        while cell.poll() is None:
            time.sleep(0.05)
            logs = list(Path(folder, "runs").glob("*/*/train/metrics-*.jsonl"))
            done = sum(log.read_bytes().count(b"\n") for log in logs)
            if done > (seen[-1][0] if seen else 0):
                seen.append((done, time.perf_counter(), spent(logs[0].parents[1])))
        if cell.returncode:
            raise RuntimeError(f"the training failed with code {cell.returncode}")
    (first, start, before), (last, end, after) = seen[WARM_UP - 1], seen[-2]  # verl saves in the last step
    return Counter({name: (after[name] - before[name]) / (last - first) for name in after}), (end - start) / (
        last - first
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("overrides", nargs="*", help="of the cell")
    given = parser.parse_args()
    parts, wall = measure(given.steps, given.overrides)
    print(f"\nprocessor seconds of a step ({wall:.1f} s on the wall)")
    for name, seconds in [*parts.most_common(), ("together", parts.total())]:
        print(f"{seconds:8.2f}  {name}")


if __name__ == "__main__":
    main()
