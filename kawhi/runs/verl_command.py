"""A composed cell -> the command line and environment of verl's trainer."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi import fork_server
from kawhi.base.attention_choice import chosen
from kawhi.base.checkout import resolve_package_paths
from kawhi.base.plug_in import PICTURES, WORKER
from kawhi.base.published import model_place

_LOOPS = "kawhi.verl_plugin.lost_responses.NotingManager"
"""A key that verl reads and its own configuration does not name."""

_PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]+")
_RESERVED = {"null", "true", "false", "nan", "inf"}


def overrides(cell: DictConfig, *, train_file: Path, validation_file: Path, checkpoints: Path) -> list[str]:
    """verl's Hydra overrides for a cell.

    Keys under ``verl`` exist in verl's configuration (an unknown one makes verl stop); keys under ``verl_added`` and
    the ``kawhi`` block are added to it.  Which attention is meant is said here, on the machine that runs the command.
    """
    known = resolve_package_paths(OmegaConf.to_container(cell.verl, resolve=True))
    new = resolve_package_paths(OmegaConf.to_container(cell.verl_added, resolve=True))
    model = new["actor_rollout_ref"]["model"]["override_config"]
    model["attn_implementation"] = chosen(model["attn_implementation"], cell.scale.device)
    kawhi: Any = OmegaConf.to_container(cell.kawhi, resolve=True)
    given = {
        "data": {
            "train_files": str(train_file),
            "val_files": str(validation_file),
            "custom_cls": PICTURES,
        },
        "actor_rollout_ref": {
            "model": {
                "path": model_place(cell.model.path, cell.model.get("revision")),
                "external_lib": WORKER,
            }
        },
        # Both names are what loggers call the run: <run directory>/train/checkpoints.
        "trainer": {
            "default_local_dir": str(checkpoints),
            "project_name": project(cell),
            "experiment_name": checkpoints.absolute().parent.parent.name,
        },
    }
    lines = [f"{key}={to_override(value)}" for key, value in leaves(known)]
    lines += [f"{key}={to_override(value)}" for key, value in leaves(given)]
    lines += [f"+{key}={to_override(value)}" for key, value in leaves(new)]
    lines.append(f"+actor_rollout_ref.rollout.agent.agent_loop_manager_class={_LOOPS}")
    lines += [f"+kawhi.{key}={to_override(value)}" for key, value in leaves(kawhi)]
    return lines


def command(cell: DictConfig, **files_and_folders: Path) -> list[str]:
    """Argument vector of the training process."""
    return [sys.executable, "-m", "kawhi.verl_plugin.main", *overrides(cell, **files_and_folders)]


def environment(cell: DictConfig, metrics_file: Path) -> dict[str, str]:
    """Environment of the training process: this one's with :func:`own_environment`."""
    return {**os.environ, **own_environment(cell, metrics_file)}


def own_environment(cell: DictConfig, metrics_file: Path) -> dict[str, str]:
    """What the harness sets: what the scale asks for, what loggers read, and what makes runs quiet.

    Args:
        metrics_file: ``<run directory>/train/<name>``.
    """
    environment: Any = OmegaConf.to_container(cell.environment_variables, resolve=True)
    own = {str(k): str(v) for k, v in environment.items()}
    if cell.scale.device == "cpu":
        # vLLM compiles small functions at the first rollout, by g++, which takes 3 s of the tiny world.
        own = {"TORCHDYNAMO_DISABLE": "1", **own}
    vendor = {} if cell.kawhi.method == "off" else {"VERL_ENGINE_VENDOR": "kawhi"}
    return {
        "VERL_FILE_LOGGER_PATH": str(metrics_file),
        "KAWHI_WEIGHT_SYNC_LIMIT": str(cell.scale.limits.weight_sync),
        "OMP_NUM_THREADS": str(cell.scale.omp_threads),
        "TOKENIZERS_PARALLELISM": "false",
        "RAY_USAGE_STATS_ENABLED": "0",
        "VLLM_NO_USAGE_STATS": "1",
        # As verl tells its workers, who then import vLLM as a fork server's processes do.
        "VLLM_BATCH_INVARIANT": os.environ.get("VLLM_BATCH_INVARIANT", "0"),
        "DO_NOT_TRACK": "1",
        "HYDRA_FULL_ERROR": "1",
        "PYTHONUNBUFFERED": "1",
        **own,
        **fork_server.environment(),
        **vendor,
        **logger_environment(cell, metrics_file.parent.parent),
    }


def logger_environment(cell: DictConfig, run_directory: Path) -> dict[str, str]:
    """Where TensorBoard's and wandb's writers in any process of a run put what they are given."""
    found = {}
    if "tensorboard" in cell.verl.trainer.logger:
        found["TENSORBOARD_DIR"] = str(run_directory / "tensorboard")
    if "wandb" in cell.verl.trainer.logger:
        # The cell's hash, so that a run that goes on continues its curve.
        run_id = run_directory.name.rsplit("-", 1)[-1]
        found |= {"WANDB_DIR": str(run_directory), "WANDB_RUN_ID": run_id, "WANDB_RESUME": "allow"}
    return found


def project(cell: DictConfig) -> str:
    """What loggers call the collection of all runs."""
    return str((cell.get("logger") or {}).get("project") or "kawhi")


def to_override(value: Any) -> str:
    """A value in the grammar of Hydra's command-line overrides."""
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return repr(value).lower()  # true and false, too
    if isinstance(value, list):
        return "[" + ",".join(to_override(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{to_override(item)}" for key, item in value.items()) + "}"
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED and not re.match(r"[-+.0-9]", text):
        return text
    # In this grammar a backslash is an escape only where a quote or the end follows.
    return "'" + re.sub(r"\\*(?='|\Z)", lambda run: run[0] * 2, text).replace("'", r"\'") + "'"


def leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a tree with its dotted key; an empty block is a value."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{name}.")
        else:
            yield name, value
