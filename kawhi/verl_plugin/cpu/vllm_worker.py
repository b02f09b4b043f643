"""vLLM worker extension of the CPU world (``rollout.engine_kwargs.vllm.worker_extension_cls``)."""

from __future__ import annotations

from kawhi.verl_plugin.weight_sync import WorkerExtension


def keep_linear_weights() -> None:
    """vLLM's CPU linear packs a weight and frees the original, so the second weight sync would find nothing to load
    into, and the run would hang.  Keep it; verl repacks after every sync.  (vLLM 0.27.1)"""
    import vllm.model_executor.layers.utils as layers

    original = layers.dispatch_cpu_unquantized_gemm
    if getattr(original, "keeps_weights", False):
        return

    def dispatch_cpu_unquantized_gemm(layer, remove_weight=True):
        return original(layer, remove_weight=False)

    dispatch_cpu_unquantized_gemm.keeps_weights = True
    layers.dispatch_cpu_unquantized_gemm = dispatch_cpu_unquantized_gemm


class CpuWorkerExtension(WorkerExtension):
    """Our extension, after the weights were made to survive packing."""

    def __new__(cls, **kwargs):
        keep_linear_weights()
        return super().__new__(cls, **kwargs)
