"""Vision-critical heads of one of the main table's models: python -m kawhi.cluster.heads_task [words for kawhi heads]

What ``slurm/head_attribution.sh`` runs.  The task's index is the model's place in the main table; its heads are shared
among the GPUs of the node, one ``kawhi heads --only`` for each, and a last one without draws the figure.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from glob import glob
from pathlib import Path

from omegaconf import DictConfig

from kawhi.base.checkout import ROOT
from kawhi.base.errors import CellError
from kawhi.base.processes import die_with_parent
from kawhi.base.published import fetched_model, model_place
from kawhi.runs.composing import compose_cells

TABLE = "main_table"
TINY_MODEL = "kawhi/tiny/checkpoints/qwen2_5_vl_yes_no"
"""The only model of the tiny world that answers MME's yes-or-no questions."""


def table_models(overrides: Sequence[str], conf: Path = ROOT / "conf") -> list[DictConfig]:
    """One cell for each model of the main table, in its order; the table has each of them untrained."""
    return compose_cells(conf, [f"experiment={TABLE}", *overrides, "study=baseline"])[0]


def chosen(count: int, environment: Mapping[str, str]) -> int:
    """The index that Slurm gave this task; says so when the array leaves models out.

    Raises:
        CellError: there is none, or no model has it.
    """
    text, every = environment.get("SLURM_ARRAY_TASK_ID"), f"--array=0-{count - 1}"
    if text is None:
        raise CellError(f"this is no task of an array: submit the script with sbatch {every}, which is all models")
    if int(text) >= count:
        raise CellError(f"there are {count} models, 0 to {count - 1}, and this is task {text}: say sbatch {every}")
    tasks = int(environment.get("SLURM_ARRAY_TASK_COUNT", count))
    if tasks < count:
        print(f"warning: this array has {tasks} of {count} models; {every} is all of them", flush=True)
    return int(text)


def heads_command(cell: DictConfig, mme: str | None, words: Sequence[str]) -> list[str]:
    """``kawhi heads`` for the model of a cell.

    Args:
        mme: a pattern of MME's parquet files; the tiny world draws its own.

    Raises:
        CellError: the pattern is missing or no file fits it.
    """
    tiny = bool(cell.model.get("drawn"))
    files = ["tiny"] if tiny else sorted(glob(mme or ""))
    if not files:
        raise CellError(f"KAWHI_MME={mme or ''} names no file: set it in slurm/site.env to MME's parquet files")
    yes_or_no = tiny and cell.model.family == "qwen2_5_vl"
    model = str(ROOT / TINY_MODEL) if yes_or_no else model_place(cell.model.path, cell.model.get("revision"))
    name = Path(model if yes_or_no else cell.model.path).name  # a snapshot's folder is called like its commit
    out = Path(cell.paths.runs).resolve().parent / "heads" / name
    return [sys.executable, "-m", "kawhi", "heads", model, "--data", *files, "--out", str(out), *words]


def shares(heads: int, devices: int) -> list[str]:
    """What each device's ``--only`` says: the whole model and all heads, dealt out in turn."""
    everything = ["whole", *map(str, range(heads))]
    dealt = [",".join(everything[device::devices]) for device in range(devices)]
    return [share for share in dealt if share]


def _side_by_side(command: Sequence[str], parts: Sequence[str], devices: Sequence[str]) -> int:
    running = [
        subprocess.Popen(
            [*command, "--only", part],
            env=os.environ | {"CUDA_VISIBLE_DEVICES": device},
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        for part, device in zip(parts, devices, strict=False)
    ]
    try:
        codes = [process.wait() for process in running]
        return next((code for code in codes if code), 0)
    finally:
        for process in running:
            process.kill()


def main(words: Sequence[str] | None = None) -> int:
    """The exit code of ``kawhi heads``."""
    given = list(sys.argv[1:] if words is None else words)
    try:
        cells = table_models([f"scale={os.environ['KAWHI_SCALE']}"])
        cell = cells[chosen(len(cells), os.environ)]
        fetched_model(cell.model.path, cell.model.get("revision"))
        command = heads_command(cell, os.environ.get("KAWHI_MME"), given)
        devices = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
        if cell.scale.device != "cpu" and len(devices) > 1 and "--only" not in given:
            from kawhi.probes.head_ablation import backend_of

            parts = shares(backend_of(command[4])[1], len(devices))
            if code := _side_by_side(command, parts, devices):
                return code if code > 0 else 128 - code
        return subprocess.run(command, preexec_fn=die_with_parent).returncode
    except CellError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
