"""What a rehearsal puts in the place of a full-scale cell's values.  What is not in these lists stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import lcm
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict


@dataclass(frozen=True)
class Substitution:
    """One key of the configuration, with dots, and why it cannot be what it is at full scale."""

    key: str
    value: Any
    why: str


@dataclass(frozen=True)
class Substituted:
    """What became of a key."""

    key: str
    before: Any
    after: Any
    why: str


def of_size(ranks: int, responses: int) -> list[Substitution]:
    """What makes a cell one of minutes, on every machine.

    Args:
        ranks: among which the responses of a batch are divided; as if there were two where there are fewer.
        responses: to a prompt.
    """
    prompts = lcm(max(2, ranks), responses) // responses
    return [
        Substitution("verl.data.train_batch_size", 2 * prompts, "minutes: as few prompts as make two updates a step"),
        Substitution("verl.actor_rollout_ref.actor.ppo_mini_batch_size", prompts, "minutes: two updates a step"),
        Substitution("steps", 2, "minutes: one before the kill, one after it"),
        Substitution("verl.trainer.save_freq", 1, "the kill comes after the first step's checkpoint"),
        Substitution("verl.data.val_batch_size", 4, "as many as there are rows"),
        Substitution("scale.needs.memory_gib", 0, "asked for once, before the rehearsal"),
        Substitution("scale.needs.disk_gib", 0, "asked for once, before the rehearsal"),
        Substitution("rehearsal", True, "so that no number of it counts as measured"),
    ]


CACHE_BLOCKS = 512
"""Our choice: of 128 tokens on a CPU; two of the longest sequences that the servers of an evaluation take."""
_NO_GPU = "there is no GPU"
_TWO_CORES = "verl's numbers of processes are made for many cores"

OF_A_CPU = (
    Substitution("verl.trainer.n_gpus_per_node", 2, "two ranks, as many as show what several do"),
    Substitution("verl_added.ray_kwargs.ray_init.num_gpus", 2, "two logical devices, which Ray cannot find by itself"),
    Substitution(
        "verl_added.actor_rollout_ref.rollout.engine_kwargs.vllm.num_gpu_blocks_override",
        CACHE_BLOCKS,
        "memory: vLLM fills 1 GiB of each rank with its cache, of which a rehearsal needs little",
    ),
)

OF_ONE_GPU = (Substitution("verl.actor_rollout_ref.rollout.tensor_model_parallel_size", 1, "one GPU is here"),)

_FEWEST_PIXELS = "verl_added.data.min_pixels"

FROM_SCALE_CPU: Mapping[str, str] = {
    "scale.device": _NO_GPU,
    "scale.attention": "flash attention needs a GPU",
    "scale.omp_threads": _TWO_CORES,
    "scale.parallel_cells": "memory",
    "scale.worker_extension_cls": "vLLM's CPU build frees weights that the weight sync needs",
    "scale.limits": "what hangs must end while somebody waits",
    "verl.trainer.device": _NO_GPU,
    "verl.data.dataloader_num_workers": _TWO_CORES,
    "verl.actor_rollout_ref.actor.use_torch_compile": "compiling takes longer than it saves in two steps",
    "verl.actor_rollout_ref.actor.fsdp_config.use_torch_compile": "as above",
    "verl.actor_rollout_ref.rollout.enforce_eager": "CUDA graphs need a GPU",
    "verl.actor_rollout_ref.rollout.free_cache_engine": "sleep mode needs a GPU",
    "verl_added.actor_rollout_ref.rollout.enable_sleep_mode": "sleep mode needs a GPU",
    "verl.actor_rollout_ref.rollout.agent.num_workers": _TWO_CORES,
    "verl.actor_rollout_ref.rollout.max_num_seqs": _TWO_CORES,
    "verl.reward.num_workers": _TWO_CORES,
    "verl.transfer_queue.backend.SimpleStorage.num_data_storage_units": _TWO_CORES,
    "verl.ray_kwargs.ray_init.num_cpus": "logical: verl reserves more than there are",
    "verl_added.ray_kwargs.ray_init.include_dashboard": "start-up time",
    "environment_variables": "verl's platform for a CPU, and what vLLM's CPU build reads",
}
"""Keys whose value is that of ``conf/scale/cpu.yaml``, which is what a CPU needs, and why."""


def of_a_cpu(cell: DictConfig, cpu: DictConfig) -> list[Substitution]:
    """What a machine without a GPU needs.

    Args:
        cell: as at full scale.
        cpu: a cell at ``scale=cpu``.
    """
    taken = {key: _plain(OmegaConf.select(cpu, key)) for key in FROM_SCALE_CPU}
    found = [*(Substitution(key, value, FROM_SCALE_CPU[key]) for key, value in taken.items()), *OF_A_CPU]
    longest = cell.verl.data.max_prompt_length + cell.verl.data.max_response_length
    why = "memory: verl holds a micro-batch's logits three times, and each token has 150,000"
    found.append(Substitution("verl.actor_rollout_ref.actor.ppo_max_token_len_per_gpu", longest, why))
    if OmegaConf.select(cell, _FEWEST_PIXELS) is not None:
        why = "minutes: every visual token has logits, too, and drawn pictures need few"
        found.append(Substitution(_FEWEST_PIXELS, 3136, why))
    return found


def of_gpus(count: int) -> list[Substitution]:
    """What a machine needs that has GPUs, perhaps fewer than the scale."""
    gpus = [f"{count} GPUs are here" if count > 1 else "one GPU is here"]
    ranks = "verl.trainer.n_gpus_per_node"
    return [Substitution(ranks, count, *gpus), *(OF_ONE_GPU if count == 1 else ())]


def substitute(cell: DictConfig, wanted: Iterable[Substitution]) -> list[Substituted]:
    """Sets the values in a cell; returns those that were different, each by itself where a value is a block."""
    found = []
    for each in wanted:
        before = _plain(OmegaConf.select(cell, each.key, default=None))
        if before == each.value:
            continue
        with open_dict(cell):
            OmegaConf.update(cell, each.key, each.value, merge=True, force_add=True)
        found += [Substituted(*line, each.why) for line in _differences(each.key, before, each.value)]
    return found


def _differences(key: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if not isinstance(after, dict):
        yield key, before, after
        return
    for name, value in after.items():
        earlier = before.get(name) if isinstance(before, dict) else None
        if earlier != value:
            yield f"{key}.{name}", earlier, value


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
