"""The policy behind an OpenAI-compatible server, as lmms-eval sees it.

lmms-eval's own ``async_openai`` is not used: it writes a failed request into the response, sends no seed and drops the
finish reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from lmms_eval.protocol import ChatMessages
from tqdm import tqdm

from kawhi.base.errors import CellError
from kawhi.evaluation.endpoint import Endpoint, EndpointError
from kawhi.evaluation.responses import Response, ResponseStore, prompt_hash, prompt_of, row_of, sample_seed


class ServedModel(lmms):
    """A policy behind an OpenAI-compatible server.

    Args:
        endpoint: the server.
        store: where responses are kept.
        seed: of the sampling; each row gets one derived from it.
        sampling: what is sent beside ``max_tokens`` and the seed.
    """

    is_simple = False

    def __init__(self, endpoint: Endpoint, store: ResponseStore, *, seed: int, sampling: dict[str, Any]):
        super().__init__()
        self.endpoint, self.store, self.seed, self.sampling = endpoint, store, seed, sampling

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Raises:
        CellError: some requests failed; what was answered is kept.
        """
        missing = [request for request in requests if self.store.get(row_of(request), prompt_of(request)) is None]
        failures = asyncio.run(self._answer(missing)) if missing else []
        if failures:
            raise CellError(
                f"{len(failures)} of {len(requests)} requests to the model failed, the first because {failures[0]}; "
                f"{len(self.store.responses)} responses are kept in {self.store.path}: run the same command again"
            )
        return [self.store.responses[row_of(request)].text for request in requests]

    async def _answer(self, requests: Sequence[Instance]) -> list[EndpointError]:
        await self.endpoint.check()
        window = asyncio.Semaphore(2 * self.endpoint.concurrency)  # encoded images of those that wait cost memory
        with tqdm(total=len(requests), desc="model answers", mininterval=5) as progress:

            async def one(request: Instance) -> EndpointError | None:
                async with window:
                    _, to_messages, options, index, task, split = request.args
                    messages = ChatMessages(messages=to_messages(self.task_dict[task][split][index]))
                    try:
                        done = await self.endpoint.chat(
                            messages.to_openai_messages(),
                            max_tokens=options["max_new_tokens"],
                            seed=sample_seed(self.seed, index),
                            **self.sampling,
                        )
                    except EndpointError as error:
                        return error
                    finally:
                        progress.update()
                    hashed = prompt_hash(prompt_of(request))
                    self.store.add([Response(index, hashed, done.text, done.finish_reason, done.tokens)])
                    return None

            ended = await asyncio.gather(*(one(request) for request in requests))
        return [error for error in ended if error is not None]

    def loglikelihood(self, requests):
        """Not a thing that a chat server can give."""
        raise NotImplementedError

    def generate_until_multi_round(self, requests):
        """No benchmark of ours has several rounds."""
        raise NotImplementedError
