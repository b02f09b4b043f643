"""What a launch on a cluster is asked for: its options, and cells that can be jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError
from kawhi.cluster.submit import resources
from kawhi.queue.site import SITE
from kawhi.runs.identity import FILES_OF_VERL

TABLES = ("complete", "partial", "none")


@dataclass(frozen=True)
class Options:
    """``hydra.launcher.*``.

    Attributes:
        at_once: tasks of an array that run at the same time.
        wait: stay and show the cells until all have ended.
        table: ``complete`` (after every cell succeeded), ``partial`` (after every cell ended) or ``none``.
        attempts: how often exit code 75 queues a job again.
        site: bash file of exports, see ``slurm/site.env.example``.
    """

    at_once: int
    wait: bool
    table: str
    attempts: int
    site: Path

    def __post_init__(self):
        if self.table not in TABLES:
            raise CellError(f"hydra.launcher.table={self.table} is not one of {', '.join(TABLES)}")
        if self.at_once < 1 or self.attempts < 0:
            raise CellError("hydra.launcher.at_once must be at least 1 and hydra.launcher.attempts at least 0")
        if self.site != SITE and not self.site.is_file():
            raise CellError(f"hydra.launcher.site={self.site} is no file: slurm/site.env.example shows how it looks")


def absolute_paths(cell: DictConfig) -> None:
    """A job runs in the copy of the code, so what is relative to where the command is typed becomes absolute."""
    for name in cell.paths:
        cell.paths[name] = str(Path(cell.paths[name]).resolve())
    places: list[tuple[Any, str]] = [(cell.model, "path"), (cell.data, "train_file"), (cell.data, "validation_file")]
    places += [(benchmark, "data_file") for benchmark in cell.benchmarks]
    places += [(OmegaConf.select(cell, f"verl.{block}"), key) for block, key in FILES_OF_VERL]
    for block, key in places:
        value = block.get(key) if block else None
        if value and not str(value).startswith("pkg://") and Path(value).exists():
            block[key] = str(Path(value).resolve())


def refuse_two_sizes(cells: Sequence[DictConfig]) -> None:
    """Raises:
    CellError: cells that ask for different jobs; those of an array are all alike.
    """
    if any((resources(cell, 0), cell.scale.slurm) != (resources(cells[0], 0), cells[0].scale.slurm) for cell in cells):
        raise CellError(
            "the cells ask for different nodes, GPUs, processors, memory or minutes (scale, verl.trainer.nnodes, "
            "verl.trainer.n_gpus_per_node): launch those that are alike together"
        )
    if cells[0].verl.trainer.nnodes > 1:
        raise CellError(
            f"verl.trainer.nnodes={cells[0].verl.trainer.nnodes}: each node's task would run the cell by itself; "
            "slurm/ray.sh runs one over several nodes"
        )
