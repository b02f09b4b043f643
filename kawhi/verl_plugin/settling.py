"""What is wrong with a command line of verl that asks for a credit method, found before anything starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

from kawhi.base.checkout import configuration_folder, resolve_package_paths
from kawhi.base.checkpoint_weights import HEADS_COMMAND, UNMEASURED, measured_heads
from kawhi.base.errors import CellError
from kawhi.base.included import run_methods
from kawhi.base.pins import require_pinned
from kawhi.base.plug_in import WORKER, refuse_unweighted, refuse_without_regions
from kawhi.credit.alignment import AlignmentOptions
from kawhi.credit.methods import configured
from kawhi.verl_plugin.credit_choices import OF_MODEL, names


def settle(config: DictConfig) -> None:
    """Fills in the heads of the model, and makes the folder of the metrics.

    Args:
        config: verl's, with a block ``kawhi``; changed in place.

    Raises:
        CellError: a command that would train without its credit method, or stop after the first responses.
    """
    if "kawhi" not in config or "method" not in (config.kawhi or {}):
        raise CellError(
            f"no credit method is chosen: add kawhi=NAME, one of {', '.join(names())}; verl.trainer.main_ppo has none"
        )
    _refuse_missing_files(config)
    if metrics := os.environ.get("VERL_FILE_LOGGER_PATH"):
        Path(metrics).parent.mkdir(parents=True, exist_ok=True)
    if config.kawhi.method != "off":
        require_pinned(trains=True, evaluates=False)
        refuse_unweighted(config)
        _refuse_without_plug_in(config)
        _settle_method(config)


def _settle_method(config: DictConfig) -> None:
    run_methods()
    if OmegaConf.select(config, "kawhi.alignment.heads") == OF_MODEL:
        OmegaConf.update(config, "kawhi.alignment.heads", heads_of(config.actor_rollout_ref.model.path))
    kawhi: Any = OmegaConf.to_container(config.kawhi, resolve=True)
    try:
        needs = configured(kawhi).needs
        if "alignment" in needs:
            AlignmentOptions(**kawhi["alignment"])
    except (TypeError, ValueError) as error:
        raise CellError(f"kawhi.method={config.kawhi.method}: {error}") from error
    if "alignment" in needs:
        refuse_without_regions(config, config.kawhi.method, kawhi)
        _refuse_other_loops(config)


def heads_of(model: str) -> list[int] | None:
    """The critical heads that ``conf/model`` has for a model, or else those that ``kawhi heads`` has measured of it.

    Args:
        model: a folder or the hub's name of it.

    Returns:
        ``None``, which is all heads, where the file or the record says so.

    Raises:
        CellError: nobody has measured them.
    """
    conf = configuration_folder()
    for file in sorted((conf / "model").glob("*.yaml")):
        known: Any = OmegaConf.load(file).model
        if _is(model, known.path):
            listed: Any = OmegaConf.to_container(known).get("critical_heads")  # type: ignore[union-attr]
            print(f"kawhi.alignment.heads={listed}, as {file} has them for {known.name}", flush=True)
            return listed
    records = Path(OmegaConf.load(conf / "run.yaml").paths.records)
    remote = "://" in model  # verl fetches it when the run has started
    if (heads := UNMEASURED if remote else measured_heads(model, None, records)) == UNMEASURED:
        command = HEADS_COMMAND.format("FOLDER_OF_A_COPY" if remote else model)
        raise CellError(
            f"neither a file of conf/model nor a record in {records} says which heads of {model} look at the image: "
            f"`{command}` finds them, or add kawhi.alignment.heads=[...], or kawhi.alignment.heads=null for all heads"
        )
    print(f"kawhi.alignment.heads={heads}, as `kawhi heads` has measured them of these weights", flush=True)
    return heads


def _is(model: str, known: str) -> bool:
    """Whether a path or a name is that of a model of ``conf/model``: its folder, or a copy of what the hub calls so."""
    if known.startswith("pkg://"):
        return Path(model).resolve() == Path(resolve_package_paths(known)).resolve()
    copies = {known.rpartition("/")[2], f"models--{known.replace('/', '--')}"}
    return not copies.isdisjoint(Path(model).parts)


def _refuse_without_plug_in(config: DictConfig) -> None:
    """What ``kawhi=NAME`` sets and a script may have set otherwise."""
    library = config.actor_rollout_ref.model.external_lib
    libraries = list(library) if OmegaConf.is_list(library) else [library]
    if WORKER not in libraries:
        raise CellError(
            f"actor_rollout_ref.model.external_lib={library} leaves out the engine that gathers what a credit method "
            f"needs: leave the key out, or give it a list with {WORKER}"
        )
    asked = OmegaConf.select(config, "ray_kwargs.ray_init.runtime_env.env_vars.VERL_ENGINE_VENDOR")
    vendor = asked or os.environ.get("VERL_ENGINE_VENDOR")
    if vendor != "kawhi":
        raise CellError(f"VERL_ENGINE_VENDOR={vendor} chooses another engine: set it to kawhi, or leave it out")
    if (rollout := OmegaConf.select(config, "actor_rollout_ref.rollout.name")) != "vllm":
        raise CellError(f"actor_rollout_ref.rollout.name={rollout} must be vllm: KAWHI's agent loops are made for it")


def _files(config: DictConfig) -> Sequence[str]:
    """The data files that lie on this machine; another file system's are verl's to fetch."""
    named = [config.data.train_files, config.data.val_files]
    every = [each for one in named if one for each in (one if OmegaConf.is_list(one) else [one])]
    return [each for each in every if "://" not in each]


def _refuse_missing_files(config: DictConfig) -> None:
    for file in _files(config):
        if not Path(file).expanduser().is_file():
            raise CellError(
                f"the data file {file} does not exist: `kawhi prepare` makes one, or set data.train_files and "
                "data.val_files"
            )


def _refuse_other_loops(config: DictConfig) -> None:
    for file in (each for each in _files(config) if each.endswith(".parquet")):
        if "agent_name" in pq.read_schema(Path(file).expanduser()).names:
            raise CellError(
                f"{file} names an agent loop for each row (column agent_name), and none of verl's selects regions: "
                "drop the column"
            )
