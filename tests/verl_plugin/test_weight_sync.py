"""Both ends of the weight sync, verl's own sender and receiver among them."""

from __future__ import annotations

import asyncio
import pkgutil
import threading
from types import SimpleNamespace

import pytest
import torch
import zmq
from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightReceiver, BucketedWeightSender
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension
from verl.workers.rollout.vllm_rollout.vllm_rollout import ServerAdapter

from kawhi.runs.training_settings import RECEIVERS
from kawhi.verl_plugin.weight_sync import LIMIT, WorkerExtension, own_handle, patch_sender
from tests.cells import cell, options


@pytest.mark.parametrize("directory", ["runs/a", "runs/b"])
def test_both_ends_of_the_weight_sync_agree_and_runs_differ(directory, monkeypatch):
    """The receiver's name comes from verl's own method, so a change of its scheme shows here."""
    monkeypatch.setenv("VERL_RAY_JOB_ID", "01000000")
    monkeypatch.setenv("KAWHI_RUN_DIR", "runs/other")
    other = own_handle("ipc:///tmp/rl-colocate-zmq-01000000-replica-0-rank-0.sock")
    monkeypatch.setenv("KAWHI_RUN_DIR", directory)
    worker = object.__new__(WorkerExtension)
    worker.local_rank, worker.model_runner = 0, None
    stock = vLLMColocateWorkerExtension._get_zmq_handle(worker)
    assert stock == "ipc:///tmp/rl-colocate-zmq-01000000-replica-0-rank-0.sock", "verl's own name is still not unique"
    assert worker._get_zmq_handle() == own_handle(stock) != other
    monkeypatch.delenv("KAWHI_RUN_DIR")
    assert worker._get_zmq_handle() == stock


@pytest.mark.parametrize("scale", options("scale"))
def test_every_scale_names_a_receiver_that_listens_where_the_actor_sends(tmp_path, scale):
    named = cell(
        tmp_path, f"scale={scale}"
    ).verl_added.actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls
    assert issubclass(pkgutil.resolve_name(named), WorkerExtension)


@pytest.mark.parametrize("name", RECEIVERS)
def test_what_a_cell_may_name_is_ours(name):
    assert issubclass(pkgutil.resolve_name(name), WorkerExtension)


@pytest.fixture
def actor(monkeypatch):
    """verl's own end in an actor, patched for this test, of a rank that asks no vLLM by Ray."""
    monkeypatch.setattr(ServerAdapter, "__init__", ServerAdapter.__init__)
    monkeypatch.setattr(ServerAdapter, "update_weights", ServerAdapter.update_weights)
    monkeypatch.setattr(BucketedWeightSender, "_init_socket", BucketedWeightSender._init_socket)
    patch_sender()
    monkeypatch.setenv(LIMIT, "0.5")
    adapter = object.__new__(ServerAdapter)
    adapter.config = SimpleNamespace(checkpoint_engine=SimpleNamespace(update_weights_bucket_megabytes=1))
    adapter.use_shm, adapter._has_server, adapter.replica_rank = True, False, 1
    return adapter


WEIGHTS = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}


def send(adapter: ServerAdapter, handle: str) -> None:
    adapter.zmq_handle = handle
    asyncio.run(adapter.update_weights(iter(WEIGHTS.items())))


def test_a_receiver_on_another_socket_ends_the_run_with_a_sentence(tmp_path, actor):
    """As verl's own vLLM would be; sent to where it listens, the same receiver gets everything."""
    got: dict[str, torch.Tensor] = {}
    receiver = BucketedWeightReceiver(f"ipc://{tmp_path}/stock", device=torch.device("cpu"), use_shm=True)
    take = lambda weights, is_last: got.update((name, weight.clone()) for name, weight in weights)  # noqa: E731
    thread = threading.Thread(target=receiver.receive_weights, args=(take,), daemon=True)
    thread.start()
    with pytest.raises(RuntimeError, match=r"did not take the actor's weights within 0.5 s.*scale.limits.weight_sync"):
        send(actor, f"ipc://{tmp_path}/ours")
    send(actor, f"ipc://{tmp_path}/stock")
    thread.join(10)
    assert not thread.is_alive()
    assert got.keys() == WEIGHTS.keys()
    assert all(torch.equal(got[name], WEIGHTS[name]) for name in WEIGHTS)


def test_a_receiver_that_goes_silent_in_the_middle_does_so_too(tmp_path, actor):
    handle = f"ipc://{tmp_path}/socket"
    with zmq.Context() as context, context.socket(zmq.REP) as silent:
        silent.connect(handle)
        thread = threading.Thread(target=lambda: (silent.recv(), silent.send(b"")), daemon=True)
        thread.start()
        with pytest.raises(RuntimeError, match="did not take the actor's weights"):
            send(actor, handle)
        thread.join(10)
        assert silent.poll(1000), "the weights themselves were sent"


def test_a_vllm_that_has_all_weights_and_never_says_so_does_so_too(tmp_path, actor, monkeypatch):
    async def never(*args, **kwargs):
        return asyncio.get_running_loop().create_future()

    actor._execute_method = never
    handle = f"ipc://{tmp_path}/socket"
    receiver = BucketedWeightReceiver(handle, device=torch.device("cpu"), use_shm=True)
    threading.Thread(target=receiver.receive_weights, args=(lambda *_: None,), daemon=True).start()
    with pytest.raises(RuntimeError, match="did not take the actor's weights"):
        send(actor, handle)


def test_outside_the_harness_there_is_no_limit(tmp_path, actor, monkeypatch):
    monkeypatch.delenv(LIMIT)
    sender = BucketedWeightSender(f"ipc://{tmp_path}/socket", use_shm=True)
    sender._init_socket()
    assert sender.socket.getsockopt(zmq.RCVTIMEO) == -1
    sender.socket.close()
