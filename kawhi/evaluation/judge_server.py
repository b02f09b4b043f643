"""The judge that a configuration names: on a running server, or on one that is started for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from kawhi.base.published import fetched_model
from kawhi.evaluation.endpoint import run_all
from kawhi.evaluation.judge import Judge
from kawhi.evaluation.judge_settings import JudgeSettings
from kawhi.evaluation.serving import free_ports, gpus_free, require_gpus, started, tensor_parallel_options


def preflight(block: Any) -> None:
    """Raises:
    CellError: settings that cannot work, or a server with an address that does not serve the model.
    """
    own = not block["base_url"] and block.get("serve")
    settings = JudgeSettings.from_config({**block, "base_url": "unused"} if own else block)
    if not own:
        run_all([Judge(settings).endpoint.check()], what="judge")


@contextmanager
def judging(
    block: Mapping[str, Any] | None, *, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Judge | None]:
    """Yields the judge of the block ``judge``; ``None`` where there is none.

    A block without ``base_url`` but with ``serve`` starts ``vllm serve`` on the GPUs that are free and ends it.  Each
    replica is a server of its own: vLLM's data-parallel ranks share a mixture's experts and run in lock-step.

    Args:
        log: of the server that is started.
        environment: variables for it.

    Raises:
        CellError: there is neither an address nor ``serve``, too few GPUs are free, or the server does not start.
    """
    if block is None:
        yield None
    elif block["base_url"] or not block.get("serve"):
        yield Judge(JudgeSettings.from_config(block))
    else:
        with judge_served(block, log=log, environment=environment) as addresses:
            yield Judge(JudgeSettings.from_config({**block, "base_url": addresses}))


@contextmanager
def judge_served(
    block: Mapping[str, Any], *, log: Path, environment: Mapping[str, str] | None = None, host: str = "127.0.0.1"
) -> Iterator[list[str]]:
    """Yields the base URLs of the judge's servers, one on each ``tensor_parallel`` of the free GPUs; ends them.

    Where ``serve.device`` is ``cpu`` it is one server, which needs no GPU.

    Args:
        block: ``judge`` of a cell, with ``serve``.
        log: of the first server; the others' have their number in the name.
        host: the address that the servers listen on.

    Raises:
        CellError: too few GPUs are free, or a server does not start.
    """
    serve = block["serve"]
    size = serve["tensor_parallel"]
    replicas = [{}] if serve.get("device") == "cpu" else _replicas(size)
    options = [*tensor_parallel_options(size), "--max-model-len", str(serve["max_model_len"])]
    options += ["--gpu-memory-utilization", str(serve["gpu_memory_utilization"]), *serve["options"]]
    ports = range(serve["port"], serve["port"] + len(replicas)) if serve["port"] else free_ports(len(replicas))
    model = fetched_model(block["model"], block.get("revision"))
    with ExitStack() as running:
        servers = [
            running.enter_context(
                started(
                    model,
                    name=block["model"],
                    port=port,
                    options=options,
                    log=log.with_stem(f"{log.stem}-{i}") if i else log,
                    limit=serve["limit"],
                    limit_key="judge.serve.limit",
                    environment={**own, **(environment or {})},
                    host=host,
                )
            )
            for i, (port, own) in enumerate(zip(ports, replicas, strict=True))
        ]
        yield [server.ready() for server in servers]


def _replicas(size: int) -> list[dict[str, str]]:
    """The variable that gives each replica its own of the free GPUs."""
    gpus = gpus_free()
    require_gpus(len(gpus), size)
    firsts = range(0, len(gpus) - size + 1, size)
    return [{"CUDA_VISIBLE_DEVICES": ",".join(gpus[first : first + size])} for first in firsts]
