"""What a cell takes on the disk: while it trains, and once it is done, when all that ``keep`` does not name is removed.

Records, samples, replies, metrics and logs are never removed: they are small, and records are made of them.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.checkout import configuration_folder
from kawhi.base.checkpoint_weights import local_model
from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import STAGES
from kawhi.runs import checkpoints
from kawhi.runs.survey import done

GIB = 2**30
WEIGHT, OPTIMISER, MERGED = 4, 8, 2
"""Bytes a parameter: FSDP's weights in float32, AdamW's two moments of each that is trained, the merged bfloat16."""
AT_ONCE = 3
"""Checkpoints: the last, the best, and the one that is being written."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of a cell: at its peak, while it trains, and of what stays when it is done."""

    peak: float
    stays: float


def sizes(cell: DictConfig, parameters: int, trained: int | None = None) -> Sizes:
    """What a training of this size takes on the disk.

    Args:
        parameters: of the model.
        trained: those that the optimiser has moments of; all by default.
    """
    weights = WEIGHT * parameters
    whole = weights + OPTIMISER * (parameters if trained is None else trained)
    if "merge" not in STAGES[cell.study.name]:
        return Sizes(AT_ONCE * whole, 0)  # nobody reads the weights
    keep = rule(cell)
    stays = MERGED * parameters * keep["merged"] + (2 * whole if keep["checkpoints"] else weights * keep["best"])
    return Sizes(AT_ONCE * whole, stays)


@cache
def parameters_of(model: str) -> int | None:
    """Parameters of a model whose weights are on this machine, by the heads of its files; else ``None``."""
    from huggingface_hub import snapshot_download

    folder = local_model(model)
    if folder is None:
        try:
            folder = Path(snapshot_download(model, allow_patterns=["*.safetensors"], local_files_only=True))
        except (OSError, ValueError):
            return None
    return sum(map(_parameters_in, folder.glob("*.safetensors"))) or None


def _parameters_in(file: Path) -> int:
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        return sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())


def rule(cell: DictConfig) -> Mapping[str, Any]:
    """The block ``keep`` of a configuration; of one that is older than the block, today's defaults."""
    found = cell.get("keep") or OmegaConf.load(configuration_folder() / "run.yaml").keep
    return {str(key): value for key, value in found.items()}


def free(run: RunDirectory, *, dry: bool = False) -> Counter[str]:
    """Removes what does not stay of a trained cell; returns bytes by what they are of, also of a dry run.

    Raises:
        CellError: its training has no record yet.
    """
    if not run.record.exists():
        raise CellError(f"{run.path} is not finished, so nothing of it is removed")
    freed: Counter[str] = Counter()
    for what, path in _superfluous(run, rule(run.load_config())):
        freed[what] += _bytes(path)
        if not dry:
            _remove(path)
    return freed


def told(freed: Counter[str]) -> str:
    """How much of what, the largest first."""
    return ", ".join(f"{what} {amount(number)}" for what, number in freed.most_common())


def amount(number: float) -> str:
    """Bytes in a unit that fits."""
    return f"{number / GIB:.1f} GiB" if number >= GIB else f"{number / 2**20:.1f} MiB"


def _superfluous(run: RunDirectory, keep: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """What it is of, and its path."""
    train = run.path / "train"
    for left in (*train.glob(".merged.*"), *train.glob(".discarded"), run.set_aside):
        if left.exists():
            yield "checkpoints set aside" if left == run.set_aside else "left over", left
    if not keep["checkpoints"]:
        yield from _of_checkpoints(run, keep)
    if not keep["merged"] and run.merged.exists() and done(run):
        yield "merged model", run.merged


def _of_checkpoints(run: RunDirectory, keep: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Whole checkpoints, but of the best one what is no weight; the merged model has the weights of the last."""
    best, last = checkpoints.best_and_last(run.checkpoints)
    stays = keep["best"] and not (best == last and keep["merged"])
    for step in checkpoints.steps_of(run.checkpoints):
        folder = checkpoints.folder_of(run.checkpoints, step)
        if step != best or not stays:
            yield "checkpoints", folder
            continue
        for pattern in ("data.pt", "actor/optim_*.pt", "actor/extra_state_*.pt"):
            yield from (("optimiser states", file) for file in sorted(folder.glob(pattern)))


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_symlink() or file.is_file())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)  # what a shared file system does not give up yet is found again
    else:
        path.unlink(missing_ok=True)
