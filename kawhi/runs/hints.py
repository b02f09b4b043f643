"""Where to look when cells are done: commands with the paths of a real one."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

_LOOKS = 20  # of a sweep of thousands on a slow disk


def where_to_look(paths: Iterable[Path], *, status: bool = True) -> list[str]:
    """Lines with commands that show what cells did: the newest one with samples, the newest one with recorded steps.

    A cell that has alpha is taken before one that has none.  No line at all when no cell is finished.

    Args:
        paths: run directories of cells that are done.
        status: whether to name ``kawhi status``, too.
    """
    done = sorted(paths, key=_finished, reverse=True)[:_LOOKS]
    lines = [_status(done[0])] if done and status else []
    if sampled := next((path for path in done if any(path.glob("eval/*/samples.parquet"))), None):
        lines.append(_line("a page of its samples", "samples", _short(sampled)))
    steps = list(filter(None, map(_last_step, done)))
    if step := next(filter(_has_alpha, steps), steps[0] if steps else None):
        words = _short(step.parents[2]), "--step", str(int(step.stem))
        lines.append(_line("what its answers looked at", "explain", *words))
    return ["where to look next:", *lines] if lines else []


def _last_step(path: Path) -> Path | None:
    return max(path.glob("train/steps/[0-9]*.json"), default=None)


def _status(path: Path) -> str:
    runs = path.parent.parent
    usual = runs.resolve() == Path(os.environ.get("KAWHI_RUNS", "results/runs")).resolve()
    more = [] if usual else ["--runs", _short(runs)]
    return _line("every cell and its score", "status", path.parent.name, *more)


def _finished(path: Path) -> float:
    records = (path / "record.json", *path.glob("eval/*/record.json"))
    return max((record.stat().st_mtime for record in records if record.exists()), default=0.0)


def _has_alpha(step: Path) -> bool:
    return json.loads(step.read_text())["prompts"][0]["responses"][0]["alpha"] is not None


def _line(what: str, *words: str) -> str:
    # `make demo` does not ask anybody to activate the environment that it makes.
    own = Path(sys.executable).with_name("kawhi")
    program = _short(own) if own.exists() and not shutil.which("kawhi") else "kawhi"
    return f"  {what:28}{shlex.join([program, *words])}"


def _short(path: Path) -> str:
    """Relative where it is below the folder in which commands are typed."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
