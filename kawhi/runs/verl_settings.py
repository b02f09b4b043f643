"""verl's own configuration and what a cell makes of it, without importing verl, which takes seconds."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError
from kawhi.runs.verl_command import leaves


@cache
def verl_defaults() -> DictConfig:
    """All of verl's configuration, which verl keeps as one file, too: to compose it takes twice as long."""
    folder = Path(str(find_spec("verl").submodule_search_locations[0]))  # type: ignore[union-attr, index]
    found: Any = OmegaConf.load(folder / "trainer" / "config" / "_generated_ppo_trainer.yaml")
    return found


@cache
def _keys() -> dict[str, Any]:
    found: Any = OmegaConf.to_container(verl_defaults(), resolve=False)
    return found


def settings(cell: DictConfig) -> DictConfig:
    """What verl would see of a cell, but for the files and folders of its run."""
    return _settings(json.dumps([OmegaConf.to_container(cell[name], resolve=True) for name in ("verl", "verl_added")]))


@cache  # the cells of a table share most of them, and to merge takes a tenth of a second
def _settings(blocks: str) -> DictConfig:
    found: Any = OmegaConf.merge(verl_defaults(), *json.loads(blocks))
    return found


def validate_keys(cell: DictConfig) -> None:
    """Raises:
    CellError: a key that verl's configuration does not have, or one that is said to be new and is not.
    """
    known: Any = OmegaConf.to_container(cell.verl, resolve=True)
    new: Any = OmegaConf.to_container(cell.verl_added, resolve=True)
    for key, _ in leaves(known):
        if _found(key) is _NOTHING:
            raise CellError(
                f"verl.{key}: verl's configuration has no {key}; correct it, or set verl_added.{key} where verl reads "
                "it all the same"
            )
    for key, value in leaves(new):
        if _found(key) not in (_NOTHING, None) and not isinstance(value, dict | list):
            raise CellError(f"verl_added.{key}: verl's configuration has {key}, so it is set as verl.{key}")


_NOTHING = object()


def _found(key: str) -> Any:
    """verl's default of a key; ``_NOTHING`` where there is no such key."""
    found: Any = _keys()
    for part in key.split("."):
        if not isinstance(found, dict) or part not in found:
            return _NOTHING
        found = found[part]
    return found
