"""verl's weight sync, in which two runs on one machine must not meet, and which must end.

verl 0.9.1 names the socket of its weight sync after Ray's job id, which is the same in every Ray that a run starts for
itself.  Two runs side by side then meet on one socket: one of them hangs, or gets the other's weights.  Both ends put
the run's own token into the name.  And verl's actor waits without end for a vLLM that does not answer; here it waits
for ``scale.limits.weight_sync`` seconds.  (``tests/verl_plugin/test_weight_sync.py``)
"""

from __future__ import annotations

import asyncio
import hashlib
import os

import zmq
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension

PREFIX = "ipc:///tmp/rl-colocate-zmq-"
LIMIT = "KAWHI_WEIGHT_SYNC_LIMIT"
"""Environment variable with ``scale.limits.weight_sync``; outside the harness it is not set, and there is no limit."""


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


def _limit() -> float | None:
    return float(os.environ[LIMIT]) if LIMIT in os.environ else None


def patch_sender() -> None:
    """The actor's end, in the actor's process: the socket's name, and an end of waiting in every sync."""
    from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightSender
    from verl.workers.rollout.vllm_rollout.vllm_rollout import ServerAdapter

    adapter_init, update, open_socket = (
        ServerAdapter.__init__,
        ServerAdapter.update_weights,
        BucketedWeightSender._init_socket,
    )

    def __init__(self, *args, **kwargs):
        adapter_init(self, *args, **kwargs)
        self.zmq_handle = own_handle(self.zmq_handle)

    def _init_socket(self):
        open_socket(self)
        if (limit := _limit()) is not None:
            # Without a peer already the first send waits; what was not sent must not hold up the process's end.
            self.socket.setsockopt(zmq.SNDTIMEO, int(1000 * limit))
            self.socket.setsockopt(zmq.RCVTIMEO, int(1000 * limit))
            self.socket.setsockopt(zmq.LINGER, 0)

    async def update_weights(self, *args, **kwargs):
        limit = _limit()
        try:
            # Sending blocks this thread, so that the socket needs its own limit; what follows it is awaited.
            return await asyncio.wait_for(update(self, *args, **kwargs), limit)
        except (TimeoutError, zmq.Again) as error:
            raise RuntimeError(
                f"vLLM did not take the actor's weights within {limit:g} s: look for an error of vLLM's workers above "
                "in this log; if there is none, the machine is slow: raise scale.limits.weight_sync"
            ) from error

    ServerAdapter.__init__ = __init__
    ServerAdapter.update_weights = update_weights
    BucketedWeightSender._init_socket = _init_socket


class WorkerExtension(vLLMColocateWorkerExtension):
    """vLLM's end (``rollout.engine_kwargs.vllm.worker_extension_cls``)."""

    def _get_zmq_handle(self) -> str:
        return own_handle(super()._get_zmq_handle())
