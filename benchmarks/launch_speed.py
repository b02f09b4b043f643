"""How long a launch of many cells on Slurm takes, beside Hydra composing the same cells and nothing else.

    python benchmarks/launch_speed.py

It starts the two-node Slurm of the tests (root, Slurm's packages), with a partition that takes jobs and starts none.
Both are processes of their own, so both times hold the start of Python and the imports.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__:  # run as a script
    sys.path[0] = str(ROOT)

from tests.slurm.lab import missing, started  # noqa: E402

COMPOSE = """
import sys
from hydra import compose, initialize_config_dir
initialize_config_dir(sys.argv[1], version_base="1.3")
for seed in range(int(sys.argv[2]) // 2):
    for credit in ("uniform", "kawhi"):
        compose("run", overrides=["table=region_selection", f"credit={credit}", f"seeds.rollout={seed}"])
"""


def seconds(command: Sequence[str], **options) -> tuple[float, float]:
    """Wall time and processor time of a command with its children.

    Raises:
        subprocess.CalledProcessError: it failed; what it printed was shown.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **options)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(cells: int, folder: Path, environment: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """Wall time and processor time in seconds, by what was done; ``cells`` is even."""
    sweep = ("table=region_selection", "credit=uniform,kawhi", f"seeds.rollout=range({cells // 2})")
    launch = [sys.executable, str(ROOT / "experiments" / "run.py"), "-m", "hydra/launcher=slurm", *sweep]
    return {
        f"{cells} cells launched": seconds(launch, cwd=folder, env=environment),
        f"{cells} cells composed, nothing else": seconds(
            [sys.executable, "-c", COMPOSE, str(ROOT / "conf"), str(cells)], env=environment
        ),
        "the same launch, all cells queued": seconds(launch, cwd=folder, env=environment),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=200)
    given = parser.parse_args(arguments)
    if why := missing():
        sys.exit(f"error: {why}")
    with started() as lab, tempfile.TemporaryDirectory() as folder:
        lab.run("scontrol", "update", "PartitionName=main", "State=DOWN")
        taken = measure(given.cells, Path(folder), lab.environment)
    floor = next(used for what, (_, used) in taken.items() if what.endswith("nothing else"))
    for what, (wall, used) in taken.items():
        print(f"{wall:6.1f} s, {used:6.1f} s of processor time ({used / floor:.2f} times the composing)  {what}")


if __name__ == "__main__":
    main()
