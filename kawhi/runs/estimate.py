"""How long a cell takes where nothing was measured: from what its scale states, and assumptions that ``conf`` names."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.evaluation.benchmark import is_judged
from kawhi.evaluation.task_runs import task_runs
from kawhi.runs.verl_settings import settings


def devices(cell: DictConfig) -> int:
    """GPUs that a cell trains on; 1 in the CPU world."""
    return int(cell.verl.trainer.n_gpus_per_node * cell.verl.trainer.nnodes)


def step_seconds(cell: DictConfig) -> float:
    """Of one step: the stated seconds, scaled by responses, by devices and their efficiency, and by further work.

    The work of a step is shared out among the devices, so half as many take twice as long: hours of a device do not
    depend on their number.
    """
    stated, assumed = cell.scale.step_seconds, cell.estimate
    responses = cell.verl.data.train_batch_size * cell.verl.actor_rollout_ref.rollout.n / stated.responses
    share = stated.devices / (devices(cell) * cell.scale.efficiency)
    sampling = assumed.rollouts * (assumed.dynamic_sampling - 1) * _samples_dynamically(cell)
    factor = 1 + sampling + assumed.further_pass * _further_passes(cell)
    return float(stated.credit.get(cell.kawhi.method, stated.seconds) * responses * share * factor)


def _samples_dynamically(cell: DictConfig) -> bool:
    return bool(OmegaConf.select(settings(cell), "algorithm.filter_groups.enable"))


def _further_passes(cell: DictConfig) -> int:
    if cell.kawhi.method == "off":
        return 0
    from kawhi.credit.methods import configured  # it imports torch, a second that not everybody has to wait for
    from kawhi.credit.methods.base import further_passes

    kawhi: Any = OmegaConf.to_container(cell.kawhi, resolve=True)
    return further_passes(configured(kawhi).needs)


def evaluation_hours(cell: DictConfig, benchmark: DictConfig) -> float:
    """Of one device, for all samples of a benchmark, and for what its judge says of them."""
    asked: Any = OmegaConf.to_container(benchmark, resolve=True)
    stated = cell.scale.sample_seconds
    each = stated.answer + stated.judge * is_judged(asked["task"])
    return float(sum(run.problems for run in task_runs(asked)) * each / cell.scale.efficiency / 3600)
