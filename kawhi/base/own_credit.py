"""What the configuration says of credit methods that are not part of the package, if their authors wrote no file of it.

Whoever composes a configuration asks here: a cell, and verl's own command line.  Methods are handed in, because their
registry is above this room.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from kawhi.base import included
from kawhi.base.checkout import configuration_folder
from kawhi.base.errors import CellError

_OF_THE_IMAGE = frozenset({"alignment"})


def is_own(method: Any) -> bool:
    """Whether a registered method is somebody's own."""
    return not method.__module__.startswith("kawhi.")


def file_of(method: Any) -> Path:
    """Where a registered method is defined."""
    return Path(str(sys.modules[method.__module__].__file__))


def own_methods(known: Mapping[str, Any]) -> dict[str, Any]:
    """Somebody's own among all registered methods, once :func:`kawhi.base.included.run_methods` has run.

    Raises:
        CellError: a file named alone has neither a method nor a benchmark.
    """
    own = {name: method for name, method in known.items() if is_own(method)}
    _refuse_empty(file_of(method) for method in own.values())
    return own


def without_file(own: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Those that have no file in a ``conf/credit``: name -> what it would say.

    Defaults of their own, and the blocks of those methods of ours that need the same signals.
    """
    conf = configuration_folder()
    bare = {name: method for name, method in own.items() if included.configuration_file("credit", name, conf) is None}
    return {name: _configuration(conf / "credit", name, method) for name, method in bare.items()}


def _configuration(conf: Path, name: str, method: Any) -> dict[str, Any]:
    needs: Any = getattr(method, "needs", frozenset())
    ours = {each: OmegaConf.to_container(OmegaConf.load(conf / f"{each}.yaml")) for each in ("kawhi", "tor", "vppo")}
    blocks: Any = {each: content["kawhi"] for each, content in ours.items()}  # type: ignore[index, call-overload]
    kawhi: dict[str, Any] = {"method": name, "options": {}}
    kawhi["signals"] = blocks["tor"]["signals"] | blocks["vppo"]["signals"]
    # A property is not known before there are options; what it may need is there.
    looks = bool((needs if isinstance(needs, frozenset) else _OF_THE_IMAGE) & _OF_THE_IMAGE)
    if looks:
        kawhi |= {block: blocks["kawhi"][block] for block in ("alignment", "regions")}
    agent = {"default_agent_loop": "kawhi" if looks else "kawhi_seeded"}
    return {
        "credit": {"name": name, "label": name},
        "kawhi": kawhi,
        "verl": {"actor_rollout_ref": {"rollout": {"agent": agent}}},
    }


def _refuse_empty(with_methods: Iterable[Path]) -> None:
    """Raises:
    CellError: a file named alone has neither a method nor a benchmark.
    """
    known = {*with_methods}
    for file in (path for path in included.named() if path.is_file()):
        if file not in known and included.benchmark_file(file.stem) != file:
            how = "decorate its class with @register('name')"
            raise CellError(f"{file} registers no credit method ({how}) and has no BENCHMARK")
