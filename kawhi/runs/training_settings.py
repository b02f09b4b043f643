"""Settings of a training that do not fit each other, the model, the data or the GPUs."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf
from pyarrow import ArrowException

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.base.pixels import pixel_limits
from kawhi.base.plug_in import refuse_unweighted
from kawhi.data.reward_trial import try_reward
from kawhi.runs.model_settings import longest_sequence, query_heads
from kawhi.runs.verl_settings import settings

RECEIVERS = (
    "kawhi.verl_plugin.weight_sync.WorkerExtension",
    "kawhi.verl_plugin.cpu.vllm_worker.CpuWorkerExtension",
)
"""The ends of our weight sync in vLLM, by name: to import them takes vLLM and seconds."""
BUDGETS = (
    "actor.ppo_max_token_len_per_gpu",
    "rollout.log_prob_max_token_len_per_gpu",
    "ref.log_prob_max_token_len_per_gpu",
)
"""Tokens of a micro-batch, where micro-batches are made by length."""
FIXED = (
    "actor.ppo_micro_batch_size_per_gpu",
    "rollout.log_prob_micro_batch_size_per_gpu",
    "ref.log_prob_micro_batch_size_per_gpu",
)
"""Responses of a micro-batch, where all have as many."""


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
    penalised = OmegaConf.select(cell, "verl_added.reward.reward_kwargs.overlong_buffer_cfg")
    if penalised and cell.scale.overlong_buffer >= longest:
        raise CellError(f"scale.overlong_buffer={cell.scale.overlong_buffer} must be below the response's {longest}")
    if OmegaConf.select(cell, "verl.data.custom_cls.path"):
        raise CellError(
            "verl.data.custom_cls cannot be chosen: kawhi/verl_plugin/picture_dataset.py stands there, without which "
            "actor and rollout see different pixels"
        )
    key = "verl_added.actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls"
    if (named := OmegaConf.select(cell, key)) not in RECEIVERS:
        raise CellError(
            f"{key}={named} does not listen where our actor sends its weights, and the first sync would never end: "
            f"name {' or '.join(RECEIVERS)}"
        )


RELIED_ON = {
    "actor_rollout_ref.rollout.name": ("vllm", "the weight sync and the seeds of requests are made for it"),
    "actor_rollout_ref.rollout.calculate_log_probs": (True, "a lost weight sync shows in nothing else"),
    "data.image_key": ("images", "so the column of `kawhi prepare` is called, and another one has no images"),
    "data.return_multi_modal_inputs": (True, "without it actor and reference do not see the images"),
    "trainer.resume_mode": ("auto", "a killed training would start over in the middle of its metrics"),
}
"""Keys of verl whose value the harness takes for granted, whatever the credit method, and why."""


def validate_relied_on(cell: DictConfig) -> None:
    """Raises:
    CellError: a setting of verl with which something would be wrong that nobody notices.
    """
    found = settings(cell)
    wanted = {**RELIED_ON, "trainer.device": (cell.scale.device, "that is the scale's")}
    for key, (value, why) in wanted.items():
        if (given := OmegaConf.select(found, key)) != value:
            raise CellError(f"verl.{key}={given} must be {value}: {why}")


def validate_batches(cell: DictConfig) -> None:
    """Raises:
    CellError: batches that cannot be divided as they must be.
    """
    found = settings(cell)
    actor, rollout = found.actor_rollout_ref.actor, found.actor_rollout_ref.rollout
    if found.data.train_batch_size % actor.ppo_mini_batch_size:
        raise CellError(
            f"verl.data.train_batch_size={found.data.train_batch_size} must be a multiple of actor.ppo_mini_batch_size="
            f"{actor.ppo_mini_batch_size}"
        )
    gpus = found.trainer.n_gpus_per_node * found.trainer.nnodes
    if actor.ppo_mini_batch_size * rollout.n % gpus:
        raise CellError(
            f"{actor.ppo_mini_batch_size} prompts with {rollout.n} responses each (verl.actor_rollout_ref."
            f"actor.ppo_mini_batch_size, rollout.n) cannot be divided among {gpus} GPUs"
        )
    if actor.use_dynamic_bsz != rollout.log_prob_use_dynamic_bsz:
        raise CellError(
            "verl.actor_rollout_ref.actor.use_dynamic_bsz and rollout.log_prob_use_dynamic_bsz must be the same"
        )
    if not actor.use_dynamic_bsz and (missing := [key for key, size in of_all(cell, FIXED).items() if not size]):
        raise CellError(f"verl.actor_rollout_ref.actor.use_dynamic_bsz=false needs {', '.join(missing)}")


def validate_lengths(cell: DictConfig) -> None:
    """Raises:
    CellError: a prompt and a response that do not fit the model, vLLM or a micro-batch; limits that no image has.
    """
    found = settings(cell)
    pixel_limits(cell.verl_added.get("data"))
    longest, room = found.data.max_prompt_length + found.data.max_response_length, longest_sequence(cell)
    whole = f"{longest} tokens of a prompt and a response (verl.data.max_prompt_length, max_response_length)"
    given = found.actor_rollout_ref.rollout.max_model_len
    if room and max(given or 0, longest) > room:
        raise CellError(f"{cell.model.name} is made for {room} tokens: lower rollout.max_model_len or the {whole}")
    if given is None and cell.scale.device == "cuda":
        raise CellError(
            "verl.actor_rollout_ref.rollout.max_model_len=None: vLLM would keep room for one sequence as long as "
            f"{cell.model.name} takes; set it to the {whole}"
        )
    if given is not None and given < longest:
        raise CellError(f"verl.actor_rollout_ref.rollout.max_model_len={given} is below the {whole}")
    if found.actor_rollout_ref.actor.use_dynamic_bsz:
        for key, budget in of_all(cell, BUDGETS).items():
            if budget * _sequence_parallel(cell) < longest:
                raise CellError(f"verl.actor_rollout_ref.{key}={budget} is below the {whole}")


def of_all(cell: DictConfig, keys: Sequence[str]) -> dict[str, Any]:
    """What verl would see of these keys below ``actor_rollout_ref``."""
    return {key: OmegaConf.select(settings(cell).actor_rollout_ref, key) for key in keys}


def _sequence_parallel(cell: DictConfig) -> int:
    """GPUs that share one sequence, of which verl has two settings."""
    actor = settings(cell).actor_rollout_ref.actor
    return max(actor.ulysses_sequence_parallel_size, actor.fsdp_config.ulysses_sequence_parallel_size)


def validate_gpus(cell: DictConfig) -> None:
    """Raises:
    CellError: GPUs that cannot be divided among vLLM's replicas, or more of them than Ray would be told of.
    """
    found = settings(cell)
    here, nodes = found.trainer.n_gpus_per_node, found.trainer.nnodes
    split, heads = found.actor_rollout_ref.rollout.tensor_model_parallel_size, query_heads(cell)
    asked = f"verl.actor_rollout_ref.rollout.tensor_model_parallel_size={split} does not divide the"
    if here * nodes % split or max(here, split) % min(here, split):
        raise CellError(f"{asked} {here} GPUs of a node (verl.trainer.n_gpus_per_node)")
    if heads and heads % split:
        raise CellError(f"{asked} {heads} heads of {cell.model.name}")
    ray = found.ray_kwargs.ray_init
    if nodes > 1 and ray.get("address") == "local":
        raise CellError(
            f"verl.trainer.nnodes={nodes}: a cell's own Ray has one node; slurm/ray.sh starts one over several and "
            "says how a cell uses it"
        )
    logical = ray.get("num_gpus")
    if logical is not None and logical < here * nodes:
        raise CellError(
            f"verl_added.ray_kwargs.ray_init.num_gpus={logical} is below the {here * nodes} that verl asks Ray for "
            "(verl.trainer.n_gpus_per_node)"
        )


def validate_plug_in(cell: DictConfig) -> None:
    """Raises:
    CellError: settings of verl under which no credit method gets its signals, or nobody would apply its weights.
    """
    if cell.kawhi.method == "off":
        return
    refuse_unweighted(settings(cell), "verl.")


def validate_data(cell: DictConfig) -> None:
    """Raises:
    CellError: fewer rows than one batch has; a file that is not there yet is somebody else's concern.
    """
    batch = cell.verl.data.train_batch_size
    for key, least in (("train", batch), ("validation", 1)):
        if file := cell.data.get(f"{key}_file"):
            said, rows = file, _rows(Path(file), unknown=least)
        else:
            said, rows = f"data.{key}_problems", cell.data.get(f"{key}_problems", least)
        if rows < least:
            raise CellError(f"{said} has {rows} rows; needed are {least} (verl.data.train_batch_size={batch})")


def _rows(file: Path, *, unknown: int) -> int:
    """Rows of a parquet file; ``unknown`` where it does not exist."""
    if not file.is_file():
        return unknown
    try:
        return pq.read_metadata(file).num_rows
    except ArrowException as error:
        raise CellError(f"{file} is no parquet file: set data.train_file and data.validation_file") from error


def validate_files(cell: DictConfig) -> None:
    """Raises:
    CellError: a file that verl loads by its path does not exist, or lacks what is asked of it.
    """
    found = settings(cell)
    reward, sampler = found.reward.custom_reward_function, found.trainer.v1.sampler.custom_sampler
    loops = found.actor_rollout_ref.rollout.agent.agent_loop_config_path
    for key, given, name in (
        ("reward.custom_reward_function", reward.path, reward.name),
        ("trainer.v1.sampler.custom_sampler", sampler.path, sampler.name),
        ("actor_rollout_ref.rollout.agent.agent_loop_config_path", loops, None),
    ):
        if given is None:
            continue
        key = f"verl.{key}.path" if name else f"verl.{key}"
        try:
            file = Path(resolve_package_paths(given))
        except ModuleNotFoundError as error:
            raise CellError(f"{key}={given} names a package that is not installed ({error.name})") from error
        if not file.is_file():
            raise CellError(f"{key}={given} does not exist")
        if name and name not in _names(file):
            raise CellError(f"{key}={given} has no {name}, which its name asks for")


def validate_reward(cell: DictConfig) -> None:
    """Raises:
    CellError: a reward function of one's own that fails on one of the first rows.
    """
    reward, file = settings(cell).reward.custom_reward_function, cell.data.get("train_file")
    if reward.path and not reward.path.startswith("pkg://") and file and Path(file).is_file():
        options: Any = OmegaConf.to_container(reward.get("reward_kwargs") or OmegaConf.create(), resolve=True)
        try_reward(Path(reward.path), reward.name, options, Path(file))


def _names(file: Path) -> set[str]:
    """What a Python file defines or imports, wherever in it.

    Raises:
        CellError: it is not Python.
    """
    try:
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise CellError(f"{file} is no Python file that can be read: {error}") from error
    found = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    found |= {node.id for node in nodes if isinstance(node, ast.Name)}
    return found | {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
