"""What verl, torch and vLLM assume of a machine, and what the CPU world puts in its place.

Each test shows the fault first: when that part fails, the correction is no longer needed and can go.
"""

from __future__ import annotations

import pkgutil
import socket

import pytest
import torch
import torch.distributed as dist
import verl.plugin.platform
import verl.utils.distributed as verl_distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard
from verl.utils.device import get_torch_device
from verl.utils.model import extract_multi_modal_inputs
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from kawhi.verl_plugin.cpu import platform

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="these are faults of a machine without accelerator")


@pytest.fixture
def one_rank(monkeypatch):
    """The environment in which verl's worker starts its process group; none is left behind."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, str(value))
    yield
    if dist.is_initialized():
        dist.destroy_process_group()


def test_verl_has_no_platform_of_that_name():
    assert "platform_cpu" not in {found.name for found in pkgutil.iter_modules(verl.plugin.platform.__path__)}
    assert isinstance(verl.plugin.platform.get_platform(), platform.CpuPlatform)


@pytest.mark.parametrize("name", ["empty_cache", "mem_get_info", "memory_allocated", "ipc_collect", "get_rng_state"])
def test_torch_cpu_lacks_what_verl_asks_of_every_device(name):
    assert not hasattr(torch.cpu, name)
    assert callable(getattr(get_torch_device(), name))


def test_verl_s_process_group_names_the_processor_twice(one_rank):
    start = verl_distributed.initialize_global_process_group_ray
    with pytest.raises(ValueError, match="Duplicate device type cpu"):
        start.__wrapped__()
    start()
    assert dist.get_backend() == "gloo"


def test_pinned_offload_needs_an_accelerator(one_rank, monkeypatch):
    """As verl builds the reference policy."""
    dist.init_process_group("gloo")

    def sharded() -> torch.Tensor:
        layer = torch.nn.Linear(2, 2)
        fully_shard(layer, mesh=init_device_mesh("cpu", (1,)), offload_policy=CPUOffloadPolicy(pin_memory=True))
        return layer(torch.ones(1, 2))

    assert sharded().shape == (1, 2)
    monkeypatch.setattr(CPUOffloadPolicy, "__init__", CPUOffloadPolicy.__init__.__wrapped__)
    with pytest.raises(RuntimeError, match=r"accelerator|NVIDIA driver"):
        sharded()


def test_verl_registers_its_engine_for_accelerators_alone(monkeypatch):
    monkeypatch.setenv("VERL_ENGINE_VENDOR", "nobody")
    monkeypatch.delenv("VERL_ENGINE_DEVICE")
    with pytest.raises(ValueError, match="No engine registered for device='cpu'"):
        EngineRegistry.get_engine_cls("language_model", "fsdp2")
    monkeypatch.setenv("VERL_ENGINE_DEVICE", "cuda")
    assert EngineRegistry.get_engine_cls("language_model", "fsdp2") is FSDPEngineWithLMHead


def test_verl_gives_every_response_its_own_copy_of_an_image():
    """Which is why ``vision_once`` keeps what the encoder makes of it."""
    prompt = {"pixel_values": torch.ones(4, 6), "image_grid_thw": torch.tensor([[1, 2, 2]])}
    assert len(extract_multi_modal_inputs([prompt] * 3)["pixel_values"]) == 3 * 4


def test_vllm_drops_the_weights_that_it_has_packed(monkeypatch):
    """A second weight sync would find nothing to load into."""
    import vllm.model_executor.layers.utils as layers

    from kawhi.verl_plugin.cpu.vllm_worker import keep_linear_weights

    monkeypatch.setattr(layers, "dispatch_cpu_unquantized_gemm", layers.dispatch_cpu_unquantized_gemm)
    left = []
    for _ in range(2):
        layer = torch.nn.Linear(64, 64)
        layers.dispatch_cpu_unquantized_gemm(layer, remove_weight=True)
        left.append(layer.weight.numel())
        keep_linear_weights()
    assert left == [0, 64 * 64]
