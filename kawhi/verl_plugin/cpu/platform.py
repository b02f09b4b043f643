"""A CPU platform for verl, and the places where verl 0.9.1 assumes an accelerator; for vLLM see ``vllm_wheel``.

``tests/verl_plugin/test_cpu.py`` has a test for each that fails when it is no longer needed.
"""

from __future__ import annotations

import functools
import os
import types
from contextlib import contextmanager

import torch
from verl.plugin.platform import PlatformBase, PlatformRegistry

from kawhi.wheels import torchvision_shim, vllm_wheel

_CPU = torch.device("cpu")


def _device_module() -> types.ModuleType:
    """The part of ``torch.cuda`` that verl calls unconditionally; torch.cpu has no memory functions."""
    of_torch = {name: getattr(torch.cpu, name) for name in dir(torch.cpu) if not name.startswith("__")}
    zero = ("memory_allocated", "memory_reserved", "max_memory_allocated", "max_memory_reserved")
    nothing = (
        *("empty_cache", "synchronize", "set_device", "ipc_collect", "set_per_process_memory_fraction"),
        *("reset_peak_memory_stats", "reset_accumulated_memory_stats", "manual_seed", "manual_seed_all"),
    )
    module = types.ModuleType("kawhi_cpu_device_module")
    module.__dict__.update(
        of_torch,
        is_available=lambda: False,  # verl's cache-clearing helpers then return early
        device_count=lambda: 0,
        current_device=lambda: _CPU,
        get_device_name=lambda *_: "CPU",
        mem_get_info=lambda *_: (0, 0),
        get_rng_state=lambda *_: torch.get_rng_state(),
        set_rng_state=lambda state, *_: torch.set_rng_state(state),
        **dict.fromkeys(zero, lambda *_, **__: 0),
        **dict.fromkeys(nothing, lambda *_, **__: None),
    )
    return module


@PlatformRegistry.register(platform="cpu")
class CpuPlatform(PlatformBase):
    """One logical device named "GPU" to Ray: placement groups and resource checks key on that name."""

    _module = _device_module()
    device_name = "cpu"
    vendor_name = "cpu"

    @property
    def device_module(self):
        return self._module

    def is_available(self):
        return True

    def is_platform_available(self, use_smi_check=False):
        return os.environ.get("VERL_PLATFORM", "").lower() == "cpu"

    def current_device(self):
        return _CPU

    def device_count(self):
        return 1

    def manual_seed(self, seed):
        torch.manual_seed(seed)

    manual_seed_all = manual_seed

    def nothing(self, *_, **__):
        """There is no device to set, to wait for or to profile."""

    set_device = synchronize = set_allocator_settings = empty_cache = nothing
    cudart = profiler_start = profiler_stop = nothing

    def get_device_capability(self, device_index=0):
        return None, None

    def communication_backend_name(self):
        return "gloo"

    def visible_devices_envvar(self):
        return "CUDA_VISIBLE_DEVICES"

    def ray_resource_name(self):
        return "GPU"

    def ray_noset_envvars(self):
        return []

    def is_ipc_supported(self):
        return False  # weights travel through POSIX shared memory

    def rollout_env_vars(self):
        return {"VLLM_CPU_KVCACHE_SPACE": os.environ.get("VLLM_CPU_KVCACHE_SPACE", "1")}

    @contextmanager
    def nvtx_range(self, msg):
        yield


def _default_backend_gloo() -> None:
    """verl asks for "cpu:gloo,<device>:<backend>", which torch rejects as a duplicate key when the device is cpu."""
    import verl.utils.distributed as distributed

    original = distributed.initialize_global_process_group_ray

    @functools.wraps(original)
    def initialize_global_process_group_ray(timeout_second=None, backend=None):
        return original(timeout_second=timeout_second, backend=backend or "gloo")

    distributed.initialize_global_process_group_ray = initialize_global_process_group_ray


def _unpinned_offload() -> None:
    """verl builds the reference policy with pinned CPU offload; pinning needs an accelerator."""
    from torch.distributed.fsdp import CPUOffloadPolicy

    original = CPUOffloadPolicy.__init__

    @functools.wraps(original)
    def __init__(self, pin_memory=False):
        original(self, pin_memory=False)

    CPUOffloadPolicy.__init__ = __init__


def adapt_actor() -> None:
    """The part that only the actor's process needs, called by ``worker``."""
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

    from kawhi.verl_plugin.cpu.vision_once import encode_images_once

    for encoder in (Qwen2_5_VisionTransformerPretrainedModel, Qwen3VLVisionModel):
        encode_images_once(encoder)


if os.environ.get("VERL_PLATFORM", "").lower() == "cpu":
    torchvision_shim.install()
    vllm_wheel.install()
    _default_backend_gloo()
    _unpinned_offload()
    # verl registers FSDP for cuda and npu only; the class itself does not depend on the device.
    os.environ.setdefault("VERL_ENGINE_DEVICE", "cuda")
