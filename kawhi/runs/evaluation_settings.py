"""Benchmarks of a cell, how they are run, and who judges them."""

from __future__ import annotations

import os
from collections import Counter
from itertools import filterfalse
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.devices import gpus_needed
from kawhi.base.errors import CellError
from kawhi.base.included import OPTION
from kawhi.evaluation.benchmark import exists, is_judged, load
from kawhi.evaluation.judge_settings import JudgeSettings
from kawhi.evaluation.task_runs import task_runs

BACKENDS = ("hugging_face", "vllm")


def validate_evaluation(cell: DictConfig) -> None:
    """Raises:
    CellError: a backend that does not exist, or settings that it cannot start with.
    """
    asked = cell.evaluation
    if asked.backend not in BACKENDS:
        raise CellError(f"evaluation.backend={asked.backend} is not one of {', '.join(BACKENDS)}")
    if asked.min_pixels > asked.max_pixels:
        raise CellError(f"evaluation.min_pixels={asked.min_pixels} is above evaluation.max_pixels={asked.max_pixels}")
    for server, gpus in _servers(cell).items():
        if cell.scale.device == "cuda" and gpus > gpus_needed(cell):
            raise CellError(
                f"{server}.tensor_parallel={gpus} is above the {gpus_needed(cell)} GPUs of the cell "
                "(verl.trainer.n_gpus_per_node)"
            )


def _servers(cell: DictConfig) -> dict[str, int]:
    """The GPUs that one replica takes of each server that the cell would start."""
    found = {"evaluation.server": cell.evaluation.server.tensor_parallel} if cell.evaluation.backend == "vllm" else {}
    judged = any(is_judged(benchmark.task) for benchmark in cell.benchmarks)
    if judged and cell.judge.get("serve") and not cell.judge.base_url:
        found["judge.serve"] = cell.judge.serve.tensor_parallel
    return found


def validate_benchmarks(cell: DictConfig) -> None:
    """Raises:
    CellError: a benchmark twice, without a task, without the judge it needs or with an unknown option; all of which
        would otherwise be found out after the training.
    """
    tasks = [benchmark.task for benchmark in cell.benchmarks]
    if repeated := sorted(task for task, count in Counter(tasks).items() if count > 1):
        raise CellError(f"{', '.join(repeated)} is asked for twice: a cell has one number per benchmark")
    if missing := ", ".join(filterfalse(exists, tasks)):
        raise CellError(
            f"there is no task {missing} in kawhi/evaluation/benchmarks: choose other benchmarks=, or name the file or "
            f"the folder that has it with {OPTION}"
        )
    for benchmark in cell.benchmarks:
        task_runs(OmegaConf.to_container(benchmark, resolve=True))  # type: ignore[arg-type]
    if judged := ", ".join(filter(is_judged, tasks)):
        _validate_judge(cell, judged)


def _validate_judge(cell: DictConfig, judged: str) -> None:
    if cell.judge is None:
        raise CellError(f"a judge decides {judged} and the cell has none: set judge=, e.g. judge=qwen3_vl_30b_a3b")
    block: Any = OmegaConf.to_container(cell.judge, resolve=True)
    JudgeSettings.from_config(block | {"base_url": block["base_url"] or ("unused" if block.get("serve") else None)})
    if block["api_key_env"] and block["api_key_env"] not in os.environ:
        raise CellError(f"the judge's key is missing: set the environment variable {block['api_key_env']}")


def require_benchmarks(cell: DictConfig) -> None:
    """Raises:
    CellError: this machine cannot score one of the benchmarks.
    """
    for benchmark in cell.benchmarks:
        if (require := load(benchmark.task).require) is not None:
            require()
