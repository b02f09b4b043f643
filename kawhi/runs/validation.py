"""Mistakes in a cell, found before anything is started instead of a minute into training."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError
from kawhi.base.pins import require_pinned
from kawhi.base.stage import evaluates, trains
from kawhi.evaluation.benchmark import exists, is_judged, load
from kawhi.evaluation.judge_settings import JudgeSettings
from kawhi.evaluation.task_runs import task_runs
from kawhi.runs.loggers import validate_logger

RECEIVERS = (
    "kawhi.verl_plugin.weight_sync.WorkerExtension",
    "kawhi.verl_plugin.cpu.vllm_worker.CpuWorkerExtension",
)
"""The ends of our weight sync in vLLM, by name: to import them takes vLLM and seconds."""


def validate(cell: DictConfig) -> None:
    """Raises:
    CellError: a mistake that would be found out after minutes or days.
    """
    require_pinned(trains=trains(cell), evaluates=evaluates(cell))
    validate_numbers(cell)
    validate_logger(cell)


def validate_numbers(cell: DictConfig) -> None:
    """:func:`validate` without the logger, which a plan does not need."""
    if trains(cell):
        validate_algorithm(cell)
        validate_credit(cell)
    if evaluates(cell):
        validate_benchmarks(cell)


def validate_benchmarks(cell: DictConfig) -> None:
    """Raises:
    CellError: a benchmark twice, without a task, without the judge it needs or with an unknown option; all of which
        would otherwise be found out after the training.
    """
    tasks = [benchmark.task for benchmark in cell.benchmarks]
    if repeated := sorted(task for task, count in Counter(tasks).items() if count > 1):
        raise CellError(f"{', '.join(repeated)} is asked for twice: a cell has one number per benchmark")
    if missing := [task for task in tasks if not exists(task)]:
        names = ", ".join(missing)
        raise CellError(f"there is no task {names} in kawhi/evaluation/benchmarks: choose other benchmarks=")
    if cell.evaluation.batch_size < 1:
        raise CellError(f"evaluation.batch_size={cell.evaluation.batch_size} must be at least 1")
    for benchmark in cell.benchmarks:
        task_runs(OmegaConf.to_container(benchmark, resolve=True))  # type: ignore[arg-type]
    if judged := [task for task in tasks if is_judged(task)]:
        _validate_judge(cell, judged)


def _validate_judge(cell: DictConfig, judged: list[str]) -> None:
    if cell.judge is None:
        raise CellError(
            f"a judge decides {', '.join(judged)} and the cell has none: set judge=, e.g. judge=qwen3_vl_30b_a3b"
        )
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


def validate_algorithm(cell: DictConfig) -> None:
    """Raises:
    CellError: settings with which nothing can be learnt, or with which verl stops a minute later.
    """
    actor = cell.verl.actor_rollout_ref
    if actor.rollout.n < 2:
        raise CellError(
            f"verl.actor_rollout_ref.rollout.n={actor.rollout.n}: advantages are relative to a group, so a prompt "
            "needs at least 2 responses"
        )
    longest = cell.verl.data.max_response_length
    if (
        OmegaConf.select(cell, "verl_new.reward.reward_kwargs.overlong_buffer_cfg")
        and cell.scale.overlong_buffer >= longest
    ):
        raise CellError(f"scale.overlong_buffer={cell.scale.overlong_buffer} must be below the response's {longest}")
    if cell.verl.data.train_batch_size % actor.actor.ppo_mini_batch_size:
        raise CellError("verl.data.train_batch_size must be a multiple of actor.ppo_mini_batch_size")
    key = "verl_new.actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls"
    if (named := OmegaConf.select(cell, key)) not in RECEIVERS:
        raise CellError(
            f"{key}={named} does not listen where our actor sends its weights, and the first sync would never end: "
            f"name {' or '.join(RECEIVERS)}"
        )


def validate_credit(cell: DictConfig) -> None:
    """Raises:
    CellError: a method, an option or a region selection that does not exist or is outside its range.
    """
    if cell.kawhi.method == "off":
        return
    # It imports torch, a second that a command without a method does not have to wait for.
    from kawhi.credit.methods import configured

    kawhi: Any = OmegaConf.to_container(cell.kawhi, resolve=True)
    try:
        method = configured(kawhi)
    except (TypeError, ValueError) as error:
        raise CellError(f"kawhi.method={cell.kawhi.method}: {error}") from error
    signals = kawhi.get("signals") or {}
    for signal, option in (("nucleus_entropy", "nucleus_p"), ("perturbed_log_probs", "perturbed_share")):
        if signal in method.needs and not 0 < signals.get(option, 0) <= 1:
            raise CellError(f"kawhi.method={cell.kawhi.method} needs kawhi.signals.{option} in (0, 1]")
    if any("_log_probs" in name or name == "blank_entropy" for name in method.needs) and "seed" not in signals:
        raise CellError(f"kawhi.method={cell.kawhi.method} needs kawhi.signals.seed")
    if "alignment" in method.needs:
        _validate_alignment(kawhi)


def _validate_alignment(kawhi: dict[str, Any]) -> None:
    from kawhi.credit.alignment import AlignmentOptions
    from kawhi.regions.selectors import STRATEGIES

    if "regions" not in kawhi or "alignment" not in kawhi:
        raise CellError(f"kawhi.method={kawhi['method']} needs the blocks kawhi.regions and kawhi.alignment")
    try:
        AlignmentOptions(**kawhi["alignment"])
    except (TypeError, ValueError) as error:
        raise CellError(f"kawhi.alignment: {error}") from error
    regions, known = kawhi["regions"], (*STRATEGIES, "visionzip")
    if regions["strategy"] not in known:
        raise CellError(f"kawhi.regions.strategy={regions['strategy']} is not one of {', '.join(known)}")
    if not 0 <= regions["skip_ratio"] <= 1:
        raise CellError(f"kawhi.regions.skip_ratio={regions['skip_ratio']} is outside [0, 1]")
    if not 0 < regions["keep_ratio"] <= 1:
        raise CellError(f"kawhi.regions.keep_ratio={regions['keep_ratio']} is outside (0, 1]")
