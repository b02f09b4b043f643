"""An entry of ``conf/benchmarks`` as passes through lmms-eval, and a pass as lmms-eval's task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.evaluation.benchmark import Benchmark, TaskRun, load

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


def task_of_cell(cell: DictConfig, entry: Mapping[str, Any], run: TaskRun, data: Path | None) -> dict[str, Any]:
    """A pass as this cell asks for it, for :func:`lmms_task`.

    Args:
        data: a parquet file that takes the place of the hub's data set.
    """
    options = cell.evaluation
    sampled = options.temperature > 0
    benchmark = load(entry["task"])
    decoding = {
        "max_new_tokens": options.max_new_tokens,
        "temperature": options.temperature,
        "do_sample": sampled,
        **({"top_p": 1.0, "top_k": 0} if sampled else {}),
        **benchmark.generation,
    }
    return task_config(benchmark, run, decoding, None if data is None else [data])


def task_config(
    benchmark: Benchmark, run: TaskRun, decoding: Mapping[str, Any], data: Sequence[Path] | None
) -> dict[str, Any]:
    """A pass of a benchmark as the configuration of an lmms-eval task.

    What lmms-eval reports is the rule's mean (``rule``): no judge runs inside lmms-eval, which retries and swallows.

    Args:
        data: parquet files that take the place of the hub's data set.
    """

    def doc_to_text(doc: Any, lmms_eval_specific_kwargs: Mapping[str, Any] | None = None) -> str:
        return benchmark.prompt(doc, run.options)

    def process_results(doc: Any, results: Sequence[str]) -> dict[str, float]:
        facts = {**benchmark.facts(doc), **run.facts}
        if benchmark.quick_rule is not None:
            return {"rule": benchmark.quick_rule(facts, results[0])}
        return {"rule": benchmark.rule(facts, results[0]).score}

    config = {
        "task": task_name(benchmark.name, run),
        "process_docs": benchmark.process_docs,
        **benchmark.data,
        **run.task,
        "output_type": "generate_until",
        "doc_to_visual": benchmark.images,
        "doc_to_text": doc_to_text,
        "doc_to_target": lambda doc: str(benchmark.facts(doc)["answer"]),
        "process_results": process_results,
        "generation_kwargs": {"until": [], **decoding},  # the default, a blank line, is KAWHI's paragraph delimiter
        "metric_list": [{"metric": "rule", "aggregation": "mean", "higher_is_better": True}],
    }
    if data is not None:
        files = {"test": [str(path) for path in data]}
        config |= {"dataset_path": "parquet", "dataset_name": None, "test_split": "test"}
        config["dataset_kwargs"] = {**run.task.get("dataset_kwargs", {}), "data_files": files}
    return config


def lmms_task(config: dict[str, Any], backend: str) -> Any:
    """lmms-eval's task of a configuration; ``backend`` is its name of the model."""
    import lmms_eval.api.metrics  # noqa: F401  it registers the mean, which the task looks up when it is made
    from lmms_eval.api.task import ConfigurableMessagesTask

    return ConfigurableMessagesTask(config=config, model_name=backend)
