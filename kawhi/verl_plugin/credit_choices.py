"""``kawhi=NAME`` on verl's command line: a file of ``conf/credit``, with what the plug-in needs of verl's settings.

NAME is one of ours, or one that was included: by its own file of ``conf/credit``, or without any.

Hydra takes what is here before the words of the command line, so that those win; :mod:`kawhi.verl_plugin.settling`
refuses what must not be won.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from kawhi.base import included
from kawhi.base.checkout import configuration_folder, resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.base.own_credit import own_methods, without_file
from kawhi.base.plug_in import PICTURES, WORKER, selected
from kawhi.credit.methods import METHODS

PRIMARY = "kawhi_ppo_trainer"
"""verl's own configuration with a choice of credit method, which may be left open."""

GROUP = "kawhi"

MINE = f"a file of your own ({included.OPTION} or {included.VARIABLE})"

OF_MODEL = "of the model"
"""``kawhi.alignment.heads``: those that ``conf/model`` has for the model that is trained."""

OF_RUN = (
    "actor_rollout_ref.actor.strategy",
    "actor_rollout_ref.actor.fsdp_config.strategy",
    "actor_rollout_ref.ref.strategy",
    "actor_rollout_ref.rollout.agent.agent_loop_config_path",
)
"""Keys of ``conf/run.yaml``'s block ``verl`` without which no weight is applied; all others are the script's own."""


def names() -> list[str]:
    """The credit methods that ``kawhi=`` takes.

    Raises:
        CellError: what was included is no file or folder of methods, or fails.
    """
    return sorted(files())


def store(words: Iterable[str] = ()) -> None:
    """Makes them known to Hydra; of one that cannot be built and was not asked for there is a warning.

    Args:
        words: of the command line.

    Raises:
        CellError: as :func:`names`, and a word ``kawhi=NAME`` with another name, or with one that cannot be built.
    """
    known, asked, store = files(), set(), ConfigStore.instance()
    for word in words:
        group, given, name = word.partition("=")
        if given and group == GROUP:
            asked |= {*name.split(",")}
            if not asked <= {*known, "null"}:
                raise CellError(f"there is no {word}: it is one of {', '.join(sorted(known))}, or a method in {MINE}")
    store.store(name=PRIMARY, node={"defaults": ["ppo_trainer", {GROUP: None}, "_self_"]}, provider="kawhi")
    for name in known:
        try:
            node = choice(name, known)
        except CellError as error:
            if name in asked:
                raise
            print(f"warning: there is no kawhi={name}: {error}", file=sys.stderr)
        else:
            store.store(group=GROUP, name=name, node=node, package="_global_", provider="kawhi")


def files() -> dict[str, Any]:
    """The files of ``conf/credit``, by name, and what there would be in one of a method that has none.

    Raises:
        CellError: as :func:`names`.
    """
    included.include(())
    included.run_methods()
    found = included.configuration_files("credit", configuration_folder())
    return {file.stem: file for file in found} | without_file(own_methods(METHODS))


def choice(name: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """The block ``kawhi`` of a credit method with all its defaults, and the settings of verl that go with it.

    Args:
        known: :func:`files`.

    Raises:
        CellError: its file cannot be read, builds on more than credit methods, or lacks the block ``kawhi``.
    """
    try:
        return _choice(name, known)
    except (OmegaConfBaseException, YAMLError, ValueError) as error:
        raise CellError(f"{_file(name, known)}: {' '.join(str(error).split())}") from error


def _choice(name: str, known: Mapping[str, Any]) -> dict[str, Any]:
    run: Any = OmegaConf.load(configuration_folder() / "run.yaml")
    around = {"seeds": run.seeds, "model": {"critical_heads": OF_MODEL}}
    credit: Any = OmegaConf.merge(around, _credit(name, known))
    ours: Any = OmegaConf.to_container(
        OmegaConf.merge(selected(run.verl, OF_RUN), credit.get("verl") or {}), resolve=True
    )
    plug_in = {
        "data": {"custom_cls": PICTURES},
        "actor_rollout_ref": {"model": {"external_lib": WORKER}},
        "ray_kwargs": {"ray_init": {"runtime_env": {"env_vars": _handed_to_workers()}}},
    }
    whole = OmegaConf.merge(resolve_package_paths(ours), plug_in)
    whole.kawhi = OmegaConf.to_container(credit.kawhi, resolve=True)
    made: Any = OmegaConf.to_container(whole)
    return made


def _handed_to_workers() -> dict[str, str]:
    """Environment variables that Ray gives every worker, on other nodes, too."""
    own = os.environ.get(included.VARIABLE)
    return {"VERL_ENGINE_VENDOR": "kawhi"} | ({included.VARIABLE: own} if own else {})


def _credit(name: str, known: Mapping[str, Any]) -> DictConfig:
    """A file of ``conf/credit`` over those that it is made of."""
    found, file = known[name], _file(name, known)
    own: Any = OmegaConf.load(found) if isinstance(found, Path) else OmegaConf.create(found)
    if not isinstance(own, DictConfig):
        raise CellError(f"{file}: it is no mapping with the blocks credit and kawhi")
    others = {each: known[each] for each in known if each != name}
    entries = [each for each in own.pop("defaults", None) or [] if each != "_self_"]
    below = [_credit(_other(entry, others, file), others) for entry in entries]
    merged: Any = OmegaConf.merge(*below, own)
    return merged


def _other(entry: Any, others: Mapping[str, Any], file: str) -> str:
    """The credit method that an entry of ``defaults`` names, as Hydra takes it for a cell."""
    name = str(entry).removeprefix("/credit/")
    if name not in others:
        raise CellError(
            f"{file}: its defaults have {entry}, and kawhi=NAME builds on other credit methods only: "
            f"{', '.join(sorted(others))}"
        )
    return name


def _file(name: str, known: Mapping[str, Any]) -> str:
    """What a mistake is reported of."""
    return str(known[name]) if isinstance(known[name], Path) else f"the method {name}"
