"""Two runs on one machine must not receive each other's weights.

verl 0.9.1 names the socket of its weight sync after Ray's job id, which is the same in every Ray that a run starts for
itself.  Two runs side by side then meet on one socket: one of them hangs, or gets the other's weights.  Both ends put
the run's own token into the name.  (``tests/verl_plugin/test_fixes.py``)
"""

from __future__ import annotations

import hashlib
import os

from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension

PREFIX = "ipc:///tmp/rl-colocate-zmq-"


def own_handle(handle: str) -> str:
    """A socket name with the token of the run directory in it; unchanged outside the harness.

    Raises:
        RuntimeError: verl names its sockets differently than this was written for.
    """
    run_directory = os.environ.get("KAWHI_RUN_DIR")
    if not run_directory:
        return handle
    if not handle.startswith(PREFIX):
        raise RuntimeError(f"verl names its weight-sync socket {handle}: adapt kawhi/verl_plugin/weight_sync.py")
    token = hashlib.sha256(run_directory.encode()).hexdigest()[:12]
    return f"{PREFIX}{token}-{handle.removeprefix(PREFIX)}"


def patch_sender() -> None:
    """The actor's end, in the actor's process."""
    from verl.workers.rollout.vllm_rollout.vllm_rollout import ServerAdapter

    original = ServerAdapter.__init__

    def __init__(self, *args, **kwargs):
        original(self, *args, **kwargs)
        self.zmq_handle = own_handle(self.zmq_handle)

    ServerAdapter.__init__ = __init__


class WorkerExtension(vLLMColocateWorkerExtension):
    """vLLM's end (``rollout.engine_kwargs.vllm.worker_extension_cls``)."""

    def _get_zmq_handle(self) -> str:
        return own_handle(super()._get_zmq_handle())
