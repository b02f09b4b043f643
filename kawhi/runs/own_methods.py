"""Credit methods that are not part of the package, as files of the configuration: ``credit=<name>`` takes one.

A method that has no file in ``conf/credit`` of its folder gets one here, with its own defaults and the blocks that its
signals need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.core.config_store import ConfigStore

from kawhi.base import included
from kawhi.base.own_credit import file_of, is_own, own_methods, without_file


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
    own = own_methods(METHODS)
    for name, node in without_file(own).items():
        ConfigStore.instance().store(group="credit", name=name, node=node, package="_global_", provider="kawhi")
    return sorted(own)


def sources(kawhi: Mapping[str, Any]) -> dict[str, str]:
    """What somebody's own methods of a block ``kawhi`` say: name -> :func:`kawhi.base.included.source`."""
    if not included.files("methods"):
        return {}
    from kawhi.credit.methods import METHODS

    included.run_methods()
    used = [kawhi["method"], *(kawhi.get("also") or {})]
    return {name: included.source(file_of(METHODS[name])) for name in used if name in METHODS and is_own(METHODS[name])}
