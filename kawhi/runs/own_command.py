"""The command that runs a cell, found from its configuration and proved by composing it again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kawhi.base.errors import CellError
from kawhi.records.contradictions import dotted
from kawhi.runs.identity import DEPENDS_ON, WITHOUT_EFFECT, cell_hash

NAMED = ("model", "algorithm", "credit", "data", "judge", "study", "scale")
"""Groups of ``conf`` whose chosen file is told by ``<group>.name``."""
CHOSEN = ("algorithm.exact", "algorithm.recipe")
"""Groups of ``conf`` that set a key of another one: the group is called as that key."""
FOLLOWED = (
    *("verl.data.seed", "verl.actor_rollout_ref.rollout.seed", "verl.trainer.total_training_steps"),
    *("kawhi.regions.seed", "credit.label"),
)
"""Keys that follow others by interpolation."""


def own_command(cell: DictConfig, conf: Path) -> str | None:
    """``python experiments/run.py ...`` for a saved cell; ``None`` where no command of this checkout gives its hash.

    The files of ``conf`` are chosen by the names that the cell has; whatever then still differs is an override.

    Args:
        cell: resolved, as in ``config.yaml``.
        conf: the folder of the configuration.
    """
    defaults = (yaml.safe_load((conf / "run.yaml").read_text(encoding="utf-8")) or {}).get("defaults")
    if not defaults:
        return None
    wanted: dict[str, Any] = OmegaConf.to_container(cell, resolve=True)  # type: ignore[assignment]
    overrides = [*_files(wanted, conf, defaults)]
    try:
        composed = _compose(conf, overrides)
        if further := list(_differences(wanted, composed)):
            overrides += further
            composed = _compose(conf, overrides)
        if cell_hash(OmegaConf.create(composed)) != cell_hash(cell):
            return None
    except (HydraException, OmegaConfBaseException, CellError):
        return None
    return shlex.join(["python", "experiments/run.py", *overrides])


def _files(wanted: dict[str, Any], conf: Path, defaults: list[Any]) -> Iterator[str]:
    chosen = {key: value for each in defaults if isinstance(each, dict) for key, value in each.items()}
    for group in NAMED:
        block = wanted.get(group)
        name = "none" if block is None else block["name"]
        files = sorted(file.stem for file in (conf / group).glob("*.yaml") if _name(file, group) in (name, None))
        exact = [file for file in files if _name(conf / group / f"{file}.yaml", group) == name] or files
        if exact and chosen.get(group) not in exact:
            yield f"{group}={exact[0]}"
    for key in CHOSEN:
        group, value = key.split(".")[1], wanted["algorithm"][key.split(".")[1]]
        if value is not None and chosen.get(group) != value:
            yield f"{group}={value}"
    tasks = [each["task"] for each in wanted.get("benchmarks", [])]
    files = [file.stem for file in sorted((conf / "benchmarks").glob("*.yaml")) if _tasks(file) == tasks]
    if files and chosen["benchmarks"] not in files:
        yield f"benchmarks={files[0]}"


def _name(file: Path, group: str) -> str | None:
    """What a file of ``conf`` sets ``<group>.name`` to; ``none`` where it sets the group to null."""
    content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    if group in content and content[group] is None:
        return "none"
    return (content.get(group) or {}).get("name")


def _tasks(file: Path) -> list[str]:
    return [each["task"] for each in yaml.safe_load(file.read_text(encoding="utf-8")).get("benchmarks", [])]


def _compose(conf: Path, overrides: list[str]) -> dict[str, Any]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
        return OmegaConf.to_container(compose("run", overrides=overrides), resolve=True)  # type: ignore[return-value]


def _differences(wanted: dict[str, Any], composed: dict[str, Any]) -> Iterator[str]:
    """An override for each leaf that differs, the seeds first; others follow them by interpolation."""
    blocks = sorted(DEPENDS_ON[wanted["study"]["name"]], key=lambda name: (name != "seeds", name))
    without = {*WITHOUT_EFFECT, *FOLLOWED}
    for block in blocks:
        if not isinstance(wanted.get(block), dict | list):
            if wanted.get(block) != composed.get(block):
                yield f"{block}={_value(wanted.get(block))}"
            continue
        ours, theirs = _leaves(block, wanted[block]), _leaves(block, composed.get(block))
        for key, value in ours.items():
            if key not in theirs:
                yield f"++{key}={_value(value)}"
            elif theirs[key] != value and key not in without:
                yield f"{key}={_value(value)}"


def _leaves(name: str, block: Any) -> dict[str, Any]:
    if isinstance(block, list):
        block = {str(i): each for i, each in enumerate(block)}
    return dotted({name: block or {}})


def _value(value: Any) -> str:
    """As Hydra's command line takes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(_value(each) for each in value)}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, str) and not re.fullmatch(r"[\w./-]+", value):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)
