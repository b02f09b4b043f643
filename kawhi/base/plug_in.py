"""What the plug-in needs of verl's settings, whoever composes them: a cell, or a script of somebody's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError

WORKER = "kawhi.verl_plugin.worker"
"""``actor_rollout_ref.model.external_lib``: the engine, and the corrections of verl."""

PICTURES = {"path": "pkg://kawhi.verl_plugin.picture_dataset", "name": "PictureDataset"}
"""``data.custom_cls``."""

WITHOUT_REGIONS = ("kawhi_seeded", "single_turn_agent")
"""Agent loops that select no regions: ours, and verl's own."""

NEEDED = {
    "trainer.use_v1": True,
    "trainer.v1.trainer_mode": "sync",
    "actor_rollout_ref.actor.strategy": "fsdp2",
    "algorithm.rollout_correction.bypass_mode": False,
}
"""Settings of verl beside which no credit method gets its signals, or nobody would apply its weights."""


def refuse_unweighted(found: DictConfig, key: str = "") -> None:
    """
    Args:
        found: all of verl's configuration.
        key: what stands before verl's keys where they are typed.

    Raises:
        CellError: a setting of verl beside which weights of tokens come to nothing.
    """
    actor = found.actor_rollout_ref.actor
    if max(actor.ulysses_sequence_parallel_size, actor.fsdp_config.ulysses_sequence_parallel_size) > 1:
        raise CellError("KAWHI needs whole sequences: set verl's ulysses_sequence_parallel_size=1, or kawhi.method=off")
    for name, value in NEEDED.items():
        if (given := OmegaConf.select(found, name)) != value:
            raise CellError(f"{key}{name}={given} must be {value}: elsewhere the weights of tokens are not applied")


def refuse_without_regions(found: DictConfig, method: str, kawhi: dict[str, Any], key: str = "") -> None:
    """
    Args:
        found: all of verl's configuration.
        method: of the block ``kawhi``, which needs the alignment.
        kawhi: that block.
        key: what stands before verl's keys where they are typed.

    Raises:
        CellError: an agent loop that selects no regions, where the method needs some.
    """
    loop = found.actor_rollout_ref.rollout.agent.default_agent_loop
    if kawhi["regions"]["strategy"] != "visionzip" and loop in WITHOUT_REGIONS:
        raise CellError(
            f"{key}actor_rollout_ref.rollout.agent.default_agent_loop={loop} selects no regions, which "
            f"kawhi.method={method} needs: set it to kawhi"
        )


def selected(tree: DictConfig, keys: Iterable[str]) -> DictConfig:
    """The part of a configuration that these dotted keys name."""
    part = OmegaConf.create()
    for key in keys:
        OmegaConf.update(part, key, OmegaConf.select(tree, key, throw_on_missing=True), force_add=True)
    return part
