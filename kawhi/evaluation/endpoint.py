"""Chat requests to an OpenAI-compatible server that either return a whole reply or say why there is none."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from kawhi.base.errors import CellError
from kawhi.evaluation.near import is_near

T = TypeVar("T")
_LONGEST_WAIT = 60.0  # seconds between two tries, unless the server asks for more
_AGAIN = (408, 429)  # and 5xx; every other status says that the same request will fail again
_OF_THE_REQUEST = (400, 413, 422)  # others (a key, a wrong address) are of all requests


@dataclass(frozen=True)
class Completion:
    """A whole reply.

    Attributes:
        text: of the first choice; may be empty.
        finish_reason: ``stop`` or ``length`` (cut off).
        tokens: of the reply; -1 where the server does not count.
        attempts: requests that were sent for it.
        reasoning: what a model thought before, where the server tells that apart.
    """

    text: str
    finish_reason: str
    tokens: int
    attempts: int
    reasoning: str = ""


class EndpointError(RuntimeError):
    """No reply.  ``attempts``: requests that were sent for it, 0 where the server had been given up before."""

    def __init__(self, sentence: str, attempts: int = 0):
        super().__init__(sentence)
        self.attempts = attempts


class Refused(EndpointError):
    """No reply, now or later, to this one request: it is too long, or filtered for what it says."""


class _TryAgain(Exception):
    """One try failed in a way that can pass; ``wait``: seconds that the server asks for."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


class Endpoint:
    """One model of one server.

    Args:
        base_url: ends in ``/v1`` for most servers.
        concurrency: requests in flight at once.
        timeout: seconds that one try may take from first byte to last.
        attempts: tries per request; between two there is a growing, random wait.
        patience: when a try fails and none has succeeded for as many seconds, the server is given up for good: every
            later request fails at once.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str = "EMPTY",
        concurrency: int,
        timeout: float,
        attempts: int,
        patience: float,
    ):
        self.base_url, self.model = base_url, model
        self.concurrency, self.timeout, self.attempts, self.patience = concurrency, timeout, attempts, patience
        self._api_key = api_key
        self._backoff = wait_random_exponential(multiplier=1, max=min(_LONGEST_WAIT, patience / 4))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._succeeded = self._failed = float("-inf")
        self._failing_since: float | None = None
        self._given_up = ""

    async def chat(self, messages: list[dict[str, Any]], *, max_tokens: int, **sampling: Any) -> Completion:
        """One reply.

        Args:
            sampling: any further key of the request, vLLM's own included (``top_k``, ``repetition_penalty``, ...).

        Raises:
            EndpointError: the request is wrong, all tries failed, or the server has been given up.
        """
        self._enter()
        # `chat.completions.create` sends the same, but first walks through the types of every field.
        request = {"model": self.model, "messages": messages, "max_tokens": max_tokens, **sampling}

        async def send() -> tuple[str, str, int, str]:
            response = await self._client.post("/chat/completions", cast_to=httpx2.Response, body=request)
            return _whole(response.content)

        async with self._turn:
            (text, finish_reason, tokens, reasoning), attempts = await self._persist(send)
        return Completion(text, finish_reason, tokens, attempts, reasoning)

    @property
    def given_up(self) -> bool:
        """Whether every later request fails at once."""
        return bool(self._given_up)

    async def check(self) -> None:
        """Asks the server for its models.

        Raises:
            CellError: it cannot be reached, or does not serve the model.
        """
        self._enter()

        async def send() -> list[str]:
            response = await self._client.get("/models", cast_to=httpx2.Response)
            return _names(response.content)

        try:
            served, _ = await self._persist(send)
        except EndpointError as error:
            raise CellError(str(error)) from error
        if self.model not in served:
            raise CellError(
                f"the server at {self.base_url} does not serve {self.model} but {', '.join(served) or 'nothing'}"
            )

    def _enter(self) -> None:
        """A client of the running event loop: connections cannot move to another one."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._loop = loop
        http = openai.DefaultAioHttpClient(  # costs less per request, see benchmarks/judge_throughput.py
            limits=httpx2.Limits(max_connections=self.concurrency, max_keepalive_connections=self.concurrency),
            trust_env=not is_near(urlsplit(self.base_url).hostname or ""),
        )
        self._client = openai.AsyncOpenAI(
            base_url=self.base_url, api_key=self._api_key, timeout=None, max_retries=0, http_client=http
        )
        self._turn = asyncio.Semaphore(self.concurrency)
        self._closing = loop.create_task(_close_with_the_loop(self._client))

    async def _persist(self, send: Callable[[], Awaitable[T]]) -> tuple[T, int]:
        """What ``send`` returns at last, and after how many tries."""
        tries = 0

        async def one() -> T:
            nonlocal tries
            if self._given_up:
                raise EndpointError(self._given_up, tries)
            tries += 1
            return await self._try(send)

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.attempts),
            wait=self._wait,
            retry=retry_if_exception_type(_TryAgain),
            reraise=True,
        )
        try:
            return await retrying(one), tries
        except _TryAgain as error:
            times = f"{tries} tries" if tries > 1 else "one try"
            raise EndpointError(f"no reply from {self.base_url} after {times}: {error}", tries) from error
        except EndpointError as error:
            error.attempts = tries
            raise

    async def _try(self, send: Callable[[], Awaitable[T]]) -> T:
        started = time.monotonic()
        try:
            try:
                async with asyncio.timeout(self.timeout):
                    value = await send()
            except TimeoutError as error:
                raise _TryAgain(f"no answer within {self.timeout:g} s") from error
            except (openai.APIConnectionError, aiohttp.ClientError) as error:
                raise _TryAgain(f"no connection ({_one_line(error.__cause__ or error)})") from error
            except openai.APIStatusError as error:
                reason = f"HTTP {error.status_code}: {_detail(error)}"
                if error.status_code < 500 and error.status_code not in _AGAIN:
                    kind = Refused if error.status_code in _OF_THE_REQUEST else EndpointError
                    raise kind(f"the server at {self.base_url} refused the request, {reason}") from error
                raise _TryAgain(reason, _asked_wait(error.response.headers.get("retry-after"))) from error
            except ValueError as error:
                raise _TryAgain(_one_line(error)) from error
        except _TryAgain as error:
            self._note_failure(started, str(error))
            raise
        self._succeeded, self._failing_since = time.monotonic(), None
        return value

    def _note_failure(self, started: float, reason: str) -> None:
        now = time.monotonic()
        if self._failing_since is None or started - self._failed > self.patience:  # after a long rest all is new
            self._failing_since = max(started, self._succeeded)
        self._failed = now
        silent = now - self._failing_since
        if silent >= self.patience:
            self._given_up = (
                f"the server at {self.base_url} was given up after {silent:.1f} s without a reply, the last try ended "
                f"with: {reason}"
            )

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, _TryAgain) else 0.0
        return max(self._backoff(state), min(asked, self.patience))


def run_all(coroutines: Iterable[Coroutine[Any, Any, T]], *, what: str = "requests", every: float = 10.0) -> list[T]:
    """Runs coroutines side by side from synchronous code and returns their results in order.

    The first exception ends all of them and is raised.  Every ``every`` seconds a line says how many are done.
    """
    return asyncio.run(_together(list(coroutines), what, every))


async def _together(coroutines: list[Coroutine[Any, Any, T]], what: str, every: float) -> list[T]:
    started = time.monotonic()
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    pending: set[asyncio.Task[T]] = set(tasks)
    try:
        while pending:
            done, pending = await asyncio.wait(pending, timeout=every, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
            if pending:
                number = len(tasks) - len(pending)
                print(f"{what}: {number} of {len(tasks)} after {time.monotonic() - started:.0f} s", flush=True)
        return [task.result() for task in tasks]
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def _close_with_the_loop(client: openai.AsyncOpenAI) -> None:
    """``asyncio.run`` cancels what is left at its end and waits for it."""
    try:
        await asyncio.Event().wait()
    finally:
        await client.close()


def _whole(body: bytes) -> tuple[str, str, int, str]:
    """Text, finish reason, tokens and reasoning of a reply.

    Raises:
        Refused: the server has filtered it.
        ValueError: the reply is anything but one whole text.
    """
    try:
        reply = json.loads(body)
        choice = reply["choices"][0]
        message, finish_reason = choice["message"], choice["finish_reason"]
        text, reasoning = message["content"], message.get("reasoning_content") or message.get("reasoning") or ""
        tokens = (reply.get("usage") or {}).get("completion_tokens", -1)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"the reply is no chat completion: {_shown(body)}") from error
    if finish_reason == "content_filter":
        raise Refused("the server filtered its reply for what it says (finish reason 'content_filter')")
    if text is None and reasoning:
        text = ""  # its tokens were over before it had thought enough
    if not isinstance(text, str):
        raise ValueError("the reply has no text")
    if finish_reason not in ("stop", "length"):  # e.g. "abort" of a server that is being stopped
        raise ValueError(f"the reply was broken off (finish reason {finish_reason!r})")
    return text, finish_reason, tokens if isinstance(tokens, int) else -1, str(reasoning)


def _names(body: bytes) -> list[str]:
    """Raises:
    ValueError: the reply is no list of models.
    """
    try:
        return [str(model["id"]) for model in json.loads(body)["data"]]
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"the reply is no list of models: {_shown(body)}") from error


def _detail(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else body
    return _one_line(message or error.message)


def _shown(body: bytes) -> str:
    return repr(_one_line(body[:200].decode(errors="replace")))


def _one_line(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 300 else f"{text[:300]}..."


def _asked_wait(header: str | None) -> float:
    """Seconds of a ``Retry-After`` header, which is a number or a date; 0 without a readable one."""
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, float(header or ""))
    with contextlib.suppress(ValueError, TypeError):
        until = email.utils.parsedate_to_datetime(header or "")
        return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return 0.0  # our own wait has to do
