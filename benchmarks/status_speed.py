"""How long ``kawhi status`` takes over many run directories, start of the program included.

    python benchmarks/status_speed.py

Beside it: the start of Python, the start of the command with its imports, and reading the same records with nothing
else, which no view can be faster than.  Six of ten cells are done; the others train, failed, wait or are trained.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("done", "done", "done", "done", "done", "done", "train", "failed", "trained", "waiting")
READ = """
import json, pathlib, sys
for pattern in ("*/*/record.json", "*/*/eval/*/record.json"):
    for file in pathlib.Path(sys.argv[1]).glob(pattern):
        json.loads(file.read_text())
"""


def make(runs: Path, number: int) -> None:
    """Run directories as real ones are, as far as the view looks at them; a training's record has 8 KB."""
    trainer = {"n_gpus_per_node": 1, "nnodes": 1}
    training = {"study": "training", "run": {"seconds": {"train": 100.0}}, "config": {"verl": {"trainer": trainer}}}
    score = {"title": "Tiny world", "score": 49.9, "n": 1000}
    evaluation = {"study": "evaluation", "result": score, "run": {"seconds": {"generate": 20.0}}}
    for i in range(number):
        stage = STAGES[i % len(STAGES)]
        folder = runs / f"sweep{i % 5}" / f"tiny-qwen2.5-vl_grpo_kawhi_m{i}_tiny_s1-0-{i:012x}"
        evaluated = folder / "eval" / f"kawhi_tiny-{i:012x}"
        for made in (folder, evaluated):
            made.mkdir(parents=True)
            (made / "config.yaml").write_text("x" * 5000)
        (folder / "logs").mkdir()
        (folder / "logs" / "train.log").write_text("a line of a log\n" * 500)
        if stage == "done":
            (folder / "record.json").write_text(json.dumps(training | {"padding": "x" * 7800}))
            (evaluated / "record.json").write_text(json.dumps(evaluation | {"padding": "x" * 3800}))
        if stage != "waiting":
            progress = {"step": 5, "reward": 0.125, "first_step": 1, "first_time": 60.0} if stage == "train" else {}
            reason = {"reason": "train failed: no"} if stage == "failed" else {}
            told = {"stage": stage, "steps": 20, "time": 100.0, **progress, **reason}
            (folder / "status.json").write_text(json.dumps(told))


def seconds(command: Sequence[str], repeats: int) -> float:
    """The fewest of all repeats, because what disturbs them only adds."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        taken.append(time.perf_counter() - start)
    return min(taken)


def measure(number: int, repeats: int) -> dict[str, float]:
    """Seconds by what was done."""
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), number)
        python = sys.executable
        status = [python, "-m", "kawhi", "status", "--runs", name]
        return {
            f"kawhi status, {number:,} cells": seconds(status, repeats),
            "records read, nothing else": seconds([python, "-c", READ, name], repeats),
            "the command's imports": seconds([python, "-c", "import kawhi.commands.cli, kawhi.runs.status"], repeats),
            "start of Python": seconds([python, "-c", ""], repeats),
        }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args(arguments)
    for what, taken in measure(given.cells, given.repeats).items():
        print(f"{taken:6.2f} s  {what}")


if __name__ == "__main__":
    main()
