"""Credit methods that are not part of the package, as files of the configuration: ``credit=<name>`` takes one.

A method that has no file in ``conf/credit`` of its folder gets one here, with its own defaults and the blocks that its
signals need.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from kawhi.base import included
from kawhi.base.checkout import configuration_folder
from kawhi.base.errors import CellError

_OF_THE_IMAGE = frozenset({"alignment"})


def make_known() -> list[str]:
    """Runs the files that were included; returns the names of somebody's own methods.

    Raises:
        CellError: a file that fails, or one named alone that has neither a method nor a benchmark.
    """
    included.include(())  # those of the variable may be wrong, too
    if not included.files("methods"):
        return []
    from kawhi.credit.methods import METHODS  # it imports torch, a second that most commands do not have to wait for

    included.run_methods()
    own = {name: method for name, method in METHODS.items() if is_own(method)}
    _refuse_empty(file_of(method) for method in own.values())
    for name, method in own.items():
        if included.configuration_file("credit", name, configuration_folder()) is None:
            needs: Any = getattr(method, "needs", frozenset())
            node = _configuration(name, needs if isinstance(needs, frozenset) else _OF_THE_IMAGE)
            ConfigStore.instance().store(group="credit", name=name, node=node, package="_global_", provider="kawhi")
    return sorted(own)


def _refuse_empty(with_methods: Iterable[Path]) -> None:
    """Raises:
    CellError: a file named alone has neither a method nor a benchmark.
    """
    known = {*with_methods}
    for file in (path for path in included.named() if path.is_file()):
        if file not in known and included.benchmark_file(file.stem) != file:
            how = "decorate its class with @register('name')"
            raise CellError(f"{file} registers no credit method ({how}) and has no BENCHMARK")


def sources(kawhi: Mapping[str, Any]) -> dict[str, str]:
    """What somebody's own methods of a block ``kawhi`` say: name -> :func:`kawhi.base.included.source`."""
    if not included.files("methods"):
        return {}
    from kawhi.credit.methods import METHODS

    included.run_methods()
    used = [kawhi["method"], *(kawhi.get("also") or {})]
    return {name: included.source(file_of(METHODS[name])) for name in used if name in METHODS and is_own(METHODS[name])}


def is_own(method: Any) -> bool:
    """Whether a registered method is somebody's own."""
    return not method.__module__.startswith("kawhi.")


def file_of(method: Any) -> Path:
    """Where a registered method is defined."""
    return Path(str(sys.modules[method.__module__].__file__))


def _configuration(name: str, needs: frozenset[str]) -> dict[str, Any]:
    """A file of ``conf/credit``: blocks of those methods of ours that need the same signals."""
    conf = configuration_folder() / "credit"
    ours = {each: OmegaConf.to_container(OmegaConf.load(conf / f"{each}.yaml")) for each in ("kawhi", "tor", "vppo")}
    blocks: Any = {each: content["kawhi"] for each, content in ours.items()}  # type: ignore[index, call-overload]
    kawhi: dict[str, Any] = {"method": name, "options": {}}
    kawhi["signals"] = blocks["tor"]["signals"] | blocks["vppo"]["signals"]
    looks = bool(needs & _OF_THE_IMAGE)
    if looks:
        kawhi |= {block: blocks["kawhi"][block] for block in ("alignment", "regions")}
    agent = {"default_agent_loop": "kawhi" if looks else "kawhi_seeded"}
    return {
        "credit": {"name": name, "label": name},
        "kawhi": kawhi,
        "verl": {"actor_rollout_ref": {"rollout": {"agent": agent}}},
    }
