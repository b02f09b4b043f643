"""A real HTTP server that speaks OpenAI's protocol and misbehaves in the ways that real ones do.

In tests it runs in a thread (``with StubServer(reply) as stub``).  ``python -m tests.evaluation.stub_server`` runs one
in a process of its own, prints its base URL, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

MODEL = "stub-judge"
Reply = Callable[[str, list[bytes]], Any]
"""(all texts of the request, joined by blank lines; its images) -> the reply; a status with which it is refused; or the
parts of a completion (:func:`_completion`)."""

FAULTS = tuple(
    ["down", "always_500", "429_then_fine", "empty", "garbage_with_1", "wrong_shape", "hangs", "dies_mid_run", "slow"]
)
RECOVERS = ("429_then_fine", "slow")
"""Faults after which a patient client still has every reply."""


ERRORS = {
    "always_500": (500, "the engine is dead"),
    "401": (401, "no such key"),
    "400": (400, "the prompt is too long"),
}
FIRST_ERRORS = {"429_then_fine": (429, "too many requests"), "503_then_fine": (503, "loading")}
TEXTS = {
    "empty": "",
    "no_text": None,
    "garbage_with_1": "Both answers agree in 1 of 1 respects, I would say 1.",
    "deep": "[" * 100_000,
}


class StubServer:
    """An endpoint with the model ``MODEL``.

    Args:
        reply: what a healthy server says.
        behaviour: ``ok``, one of ``FAULTS``, or ``no_text``, ``broken_off``, ``cut_off``, ``html``, ``401``, ``400``,
            ``503_then_fine``, ``drips``, ``deep``; may be changed while it runs.
        delay: seconds before every reply.
        retry_after: header of a 429.
        lives: chat requests that are answered before ``dies_mid_run`` closes every connection.

    Attributes:
        models: what it says that it serves.
        requests: bodies of all chat requests, in order of arrival.
        largest: most chat requests that were in work at once.
    """

    def __init__(
        self,
        reply: Reply = lambda text, images: "1",
        behaviour: str = "ok",
        *,
        delay: float = 0.0,
        retry_after: str = "0.01",
        lives: int = 3,
    ):
        self.reply, self.behaviour = reply, behaviour
        self.delay, self.retry_after, self.lives = delay, retry_after, lives
        self.models = (MODEL,)
        self.requests: list[dict[str, Any]] = []
        self.largest = self.now = 0
        self._seen: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> StubServer:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._call(_cancel_the_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def become(self, behaviour: str) -> None:
        """``down`` closes the port, anything else opens the same one again."""
        was, self.behaviour = self.behaviour, behaviour
        self._seen.clear()
        if (behaviour == "down") != (was == "down") or self._runner is None:
            self._call(self._close() if behaviour == "down" else self._open())

    def _call(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=120)

    async def _open(self) -> None:
        app = web.Application(client_max_size=2**28)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True, backlog=1024)
        await site.start()
        self._port = self._runner.addresses[0][1]
        if self.behaviour == "down":  # the port is known now, and nobody listens
            await self._close()

    async def _close(self) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": each, "object": "model"} for each in self.models]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw)
        self.requests.append(body)
        self.now += 1
        self.largest = max(self.largest, self.now)
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            return await self._answer(request, body, hashlib.sha256(raw).hexdigest())
        finally:
            self.now -= 1

    async def _answer(self, request: web.Request, body: dict[str, Any], key: str) -> web.StreamResponse:
        self._seen[key] += 1
        if self.behaviour in ERRORS:
            return _error(*ERRORS[self.behaviour])
        if self.behaviour in FIRST_ERRORS and self._seen[key] == 1:
            return _error(*FIRST_ERRORS[self.behaviour], {"Retry-After": self.retry_after})
        if self.behaviour in TEXTS:
            return _completion(TEXTS[self.behaviour])
        match self.behaviour:
            case "broken_off":
                return _completion("1", "abort")
            case "cut_off":
                return _completion(self.reply(*read(body)), "length")
            case "wrong_shape":
                return web.json_response({"result": [1], "score": 1})
            case "html":
                return web.Response(text="<html>1</html>", content_type="text/html")
            case "hangs":
                await asyncio.sleep(3600)
            case "slow":
                await asyncio.sleep(0.15)
            case "drips":
                response = web.StreamResponse()
                await response.prepare(request)
                while True:
                    await response.write(b" ")
                    await asyncio.sleep(0.02)
            case "dies_mid_run":
                self.lives -= 1
                if self.lives < 0:
                    if request.transport is not None:
                        request.transport.abort()
                    raise ConnectionResetError
        said = self.reply(*read(body))
        if isinstance(said, int):
            return _error(said, "the prompt is too long")
        return _completion(**said) if isinstance(said, dict) else _completion(said)


async def _cancel_the_rest() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def read(body: dict[str, Any]) -> tuple[str, list[bytes]]:
    """Texts and images of a request."""
    texts, images = [], []
    for message in body["messages"]:
        parts = message["content"]
        for part in [{"type": "text", "text": parts}] if isinstance(parts, str) else parts:
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                images.append(base64.b64decode(part["image_url"]["url"].partition(",")[2]))
    return "\n\n".join(texts), images


def _completion(text: str | None, finish_reason: str = "stop", **more: str) -> web.Response:
    message = {"role": "assistant", "content": text, **more}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 7, "completion_tokens": len((text or "").split()), "total_tokens": 7}
    return web.json_response(
        {"id": "1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice], "usage": usage}
    )


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status, headers=headers)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--reply", default="1")
    given = parser.parse_args()
    with StubServer(lambda text, images: given.reply, delay=given.delay) as stub:
        print(stub.base_url, flush=True)
        for _ in sys.stdin:  # a line asks for the largest concurrency so far
            print(stub.largest, flush=True)


if __name__ == "__main__":
    main()
