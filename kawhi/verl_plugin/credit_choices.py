"""``kawhi=NAME`` on verl's command line: a file of ``conf/credit``, with what the plug-in needs of verl's settings.

Hydra takes what is here before the words of the command line, so that those win; :mod:`kawhi.verl_plugin.settling`
refuses what must not be won.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from kawhi.base.checkout import configuration_folder, resolve_package_paths
from kawhi.base.plug_in import PICTURES, WORKER, selected

PRIMARY = "kawhi_ppo_trainer"
"""verl's own configuration with a choice of credit method, which may be left open."""

OF_MODEL = "of the model"
"""``kawhi.alignment.heads``: those that ``conf/model`` has for the model that is trained."""

OF_RUN = (
    "actor_rollout_ref.actor.strategy",
    "actor_rollout_ref.actor.fsdp_config.strategy",
    "actor_rollout_ref.ref.strategy",
    "actor_rollout_ref.rollout.agent.agent_loop_config_path",
)
"""Keys of ``conf/run.yaml``'s block ``verl`` without which no weight is applied; all others are the script's own."""


def names(conf: Path | None = None) -> list[str]:
    """The credit methods that ``kawhi=`` takes."""
    return sorted(file.stem for file in ((conf or configuration_folder()) / "credit").glob("*.yaml"))


def store() -> None:
    """Makes all of them known to Hydra."""
    conf, store = configuration_folder(), ConfigStore.instance()
    store.store(name=PRIMARY, node={"defaults": ["ppo_trainer", {"kawhi": None}, "_self_"]}, provider="kawhi")
    for name in names(conf):
        store.store(group="kawhi", name=name, node=choice(conf, name), package="_global_", provider="kawhi")


def choice(conf: Path, name: str) -> dict[str, Any]:
    """The block ``kawhi`` of a credit method with all its defaults, and the settings of verl that go with it."""
    run: Any = OmegaConf.load(conf / "run.yaml")
    around = {"seeds": run.seeds, "model": {"critical_heads": OF_MODEL}}
    credit = OmegaConf.merge(around, _credit(conf / "credit", name))
    ours: Any = OmegaConf.to_container(OmegaConf.merge(selected(run.verl, OF_RUN), credit.verl), resolve=True)
    plug_in = {
        "data": {"custom_cls": PICTURES},
        "actor_rollout_ref": {"model": {"external_lib": WORKER}},
        # Ray hands it to every worker, on other nodes, too.
        "ray_kwargs": {"ray_init": {"runtime_env": {"env_vars": {"VERL_ENGINE_VENDOR": "kawhi"}}}},
    }
    whole = OmegaConf.merge(resolve_package_paths(ours), plug_in)
    whole.kawhi = OmegaConf.to_container(credit.kawhi, resolve=True)
    made: Any = OmegaConf.to_container(whole)
    return made


def _credit(folder: Path, name: str) -> DictConfig:
    """A file of ``conf/credit`` over those that it is made of."""
    own: Any = OmegaConf.load(folder / f"{name}.yaml")
    below = [_credit(folder, each) for each in own.pop("defaults", []) if each != "_self_"]
    merged: Any = OmegaConf.merge(*below, own)
    return merged
