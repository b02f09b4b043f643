"""An entry of ``conf/benchmarks`` as passes through lmms-eval, and a pass as the YAML that lmms-eval reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError
from kawhi.base.files import write_atomically
from kawhi.evaluation import TASKS
from kawhi.evaluation.benchmark import TaskRun, load

_OWN_KEYS = ("task", "title", "data_file")


def task_runs(entry: Mapping[str, Any]) -> list[TaskRun]:
    """The passes of an entry of ``conf/benchmarks``.

    Raises:
        CellError: an option that the benchmark does not have.
    """
    options = {key: value for key, value in entry.items() if key not in _OWN_KEYS}
    local = entry.get("data_file")
    if local and "problems" not in options:
        raise CellError(f"{entry['task']} with a data_file needs `problems`, the number of its samples")
    problems = int(options.pop("problems")) if local else 0
    try:
        runs = load(entry["task"]).runs(options)
    except (ValueError, KeyError) as error:
        raise CellError(f"benchmark {entry['task']}: {error}") from error
    return [replace(run, problems=problems) for run in runs] if local else runs


def task_name(task: str, run: TaskRun) -> str:
    """What lmms-eval calls one pass of a benchmark."""
    return f"{task}_{run.name}" if run.name else task


def configure_task(cell: DictConfig, entry: Mapping[str, Any], run: TaskRun, data: Path | None, folder: Path) -> str:
    """Writes a pass as this cell asks for it: the package's task, with data, options and decoding filled in.

    Args:
        data: a parquet file that takes the place of the hub's data set.

    Returns:
        The task's name for lmms-eval.
    """
    options = cell.evaluation
    sampled = options.temperature > 0
    benchmark = load(entry["task"])
    decoding = {
        "until": [],  # lmms-eval's default, a blank line, is KAWHI's paragraph delimiter
        "max_new_tokens": options.max_new_tokens,
        "temperature": options.temperature,
        "do_sample": sampled,
        **({"top_p": 1.0, "top_k": 0} if sampled else {}),
        **benchmark.generation,
    }
    name = task_name(entry["task"], run)
    body: dict[str, Any] = {
        "include": str(TASKS / entry["task"] / f"{entry['task']}.yaml"),
        **run.task,
        "generation_kwargs": decoding,
    }
    if run.options:
        body["lmms_eval_specific_kwargs"] = {"default": dict(run.options)}
    if data is not None:
        body |= {
            "dataset_path": "parquet",
            "dataset_name": None,
            "test_split": "test",
            "dataset_kwargs": {**run.task.get("dataset_kwargs", {}), "data_files": {"test": str(data)}},
        }
    # `task` first: lmms-eval finds a task's name in the first line that has it.
    write_atomically(folder / f"{name}.yaml", f"task: {name}\n" + OmegaConf.to_yaml(OmegaConf.create(body)))
    return name
