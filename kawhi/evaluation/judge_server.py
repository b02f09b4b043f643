"""The judge that a configuration names: on a running server, or on one that is started for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kawhi.evaluation.endpoint import run_all
from kawhi.evaluation.judge import Judge
from kawhi.evaluation.judge_settings import JudgeSettings
from kawhi.evaluation.serving import gpus_free, parallel_options, served


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

    A block without ``base_url`` but with ``serve`` starts ``vllm serve`` on the GPUs that are free and ends it.

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
        with judge_served(block, log=log, environment=environment) as base_url:
            yield Judge(JudgeSettings.from_config({**block, "base_url": base_url}))


@contextmanager
def judge_served(
    block: Mapping[str, Any], *, log: Path, environment: Mapping[str, str] | None = None, host: str = "127.0.0.1"
) -> Iterator[str]:
    """Yields the base URL of a server of the judge on the GPUs that are free; ends it.

    Args:
        block: ``judge`` of a cell, with ``serve``.
        host: the address that the server listens on.

    Raises:
        CellError: too few GPUs are free, or the server does not start.
    """
    serve, gpus = block["serve"], gpus_free()
    options = parallel_options(len(gpus), serve["tensor_parallel"])
    options += ["--max-model-len", str(serve["max_model_len"])]
    options += ["--gpu-memory-utilization", str(serve["gpu_memory_utilization"]), *serve["options"]]
    with served(
        block["model"],
        name=block["model"],
        port=serve["port"],
        options=options,
        log=log,
        limit=serve["limit"],
        environment={"CUDA_VISIBLE_DEVICES": ",".join(gpus), **(environment or {})},
        host=host,
    ) as base_url:
        yield base_url
