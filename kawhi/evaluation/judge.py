"""The judge: a model that reads a response and replies with exactly one of the verdicts it is allowed.

No reply is ever guessed at.  One that cannot be read is asked for again, and then it is an error, which is kept beside
the sample and stops the benchmark from having a score.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from kawhi.base.errors import CellError
from kawhi.evaluation.benchmark import Benchmark, JudgeQuestion, Outcome
from kawhi.evaluation.endpoint import Endpoint, EndpointError, run_all
from kawhi.evaluation.judge_settings import JudgeSettings
from kawhi.evaluation.prompts import Prompts, prompts_of
from kawhi.evaluation.reply_log import ReplyLog
from kawhi.evaluation.samples import Reply, Sample


@dataclass(frozen=True)
class _Request:
    """One question as it is sent.

    Attributes:
        key: hash of everything that can change the reply.
        messages: with each image's sha256 in its place.
        kinds: MIME types of the question's images.
    """

    key: str
    question: JudgeQuestion
    messages: list[dict[str, Any]]
    kinds: list[str]
    max_tokens: int


class Judge:
    """Asks one model.

    Raises:
        CellError: the key's environment variable is not set.
    """

    def __init__(self, settings: JudgeSettings):
        self.settings = settings
        key = "EMPTY"
        if settings.api_key_env:
            key = os.environ.get(settings.api_key_env, "")
            if not key:
                raise CellError(f"the judge's key is missing: set the environment variable {settings.api_key_env}")
        self.endpoint = Endpoint(
            settings.base_url,
            settings.model,
            api_key=key,
            concurrency=settings.concurrency,
            timeout=settings.timeout,
            attempts=settings.attempts,
            patience=settings.patience,
        )

    def identity(self, prompts: Prompts) -> str:
        """12 hexadecimal digits of the hash of (judge model, prompt version)."""
        return _digest({"judge": self.settings.model, "prompts": prompts.version})[:12]

    def decide(
        self, benchmark: Benchmark, samples: Sequence[Sample], images: Mapping[str, bytes], folder: Path
    ) -> list[Sample]:
        """The samples with the judge's outcome; without a score, and with the error, where there is none.

        Every reply is written to ``folder/judge/<identity>.jsonl`` as it arrives.  Requests that have a good reply
        there are not sent again.

        Args:
            images: key -> encoded image, of all samples.

        Raises:
            CellError: an image is missing or broken, or something has to be asked and the server cannot be reached or
                does not serve the model.
        """
        prompts = prompts_of(benchmark.name)
        seen: dict[bytes, tuple[str, str]] = {}
        asked = [self._requests(benchmark, prompts, sample, images, seen) for sample in samples]
        different = {request.key: request for requests in asked for request in requests}
        with ReplyLog(folder / "judge" / f"{self.identity(prompts)}.jsonl") as log:
            replies = self._kept(different, prompts, log)
            if missing := {key: request for key, request in different.items() if key not in replies}:
                replies |= dict(zip(missing, self._answers(benchmark, prompts, [*missing.values()], log), strict=True))
        return [
            decided(benchmark, sample, requests, [replies[request.key] for request in requests])
            for sample, requests in zip(samples, asked, strict=True)
        ]

    def _answers(
        self, benchmark: Benchmark, prompts: Prompts, requests: Sequence[_Request], log: ReplyLog
    ) -> list[Reply]:
        run_all([self.endpoint.check()], what="judge")
        turn = asyncio.Semaphore(self.settings.concurrency)
        return run_all(
            (self._ask(request, prompts, log, turn) for request in requests), what=f"{benchmark.name}: judged"
        )

    def _requests(
        self,
        benchmark: Benchmark,
        prompts: Prompts,
        sample: Sample,
        images: Mapping[str, bytes],
        seen: dict[bytes, tuple[str, str]],
    ) -> list[_Request]:
        assert benchmark.questions is not None
        if lost := sorted(set(sample.images) - set(images)):
            raise CellError(f"images.parquet lacks {', '.join(lost)} of sample {sample.id}: evaluate again")
        shown = [images[key] for key in sample.images]
        questions = benchmark.questions(sample.facts, sample.response, rule_outcome(sample), shown)
        for image in (image for question in questions for image in question.images):
            if image not in seen:
                seen[image] = _image_kind(image, sample.id)
        return [self._request(question, prompts, seen) for question in questions]

    def _request(self, question: JudgeQuestion, prompts: Prompts, seen: Mapping[bytes, tuple[str, str]]) -> _Request:
        system, user, max_tokens = prompts.render(question.name, question.fields)
        content: Any = user
        if question.images:
            content = [{"type": "image", "sha256": seen[image][0]} for image in question.images]
            content.append({"type": "text", "text": user})
        messages = [] if system is None else [{"role": "system", "content": system}]
        messages.append({"role": "user", "content": content})
        sent = {
            "judge": self.settings.model,
            "prompts": prompts.version,
            "messages": messages,
            "max_tokens": max_tokens,
            "sampling": [self.settings.sampling(attempt) for attempt in (0, 1)],
        }
        kinds = [seen[image][1] for image in question.images]
        return _Request(_digest(sent)[:16], question, messages, kinds, max_tokens)

    def _kept(self, requests: Mapping[str, _Request], prompts: Prompts, log: ReplyLog) -> dict[str, Reply]:
        replies = {}
        for key, request in requests.items():
            kept = log.good.get(key)
            if kept is not None and not _unreadable(request.question, kept["reply"]):
                replies[key] = self._reply(request, prompts, kept["reply"], "", kept["attempts"])
        return replies

    async def _ask(self, request: _Request, prompts: Prompts, log: ReplyLog, turn: asyncio.Semaphore) -> Reply:
        async with turn:  # before the images are encoded, or all of them would be in memory at once
            messages = _with_images(request)
            sent, error, text = 0, "", ""
            for attempt in range(self.settings.attempts):
                sampling = self.settings.sampling(attempt)
                started = time.monotonic()
                try:
                    reply = await self.endpoint.chat(messages, max_tokens=request.max_tokens, **sampling)
                except EndpointError as failed:
                    text, error, sent = "", str(failed), sent + failed.attempts
                    finish_reason, asked, ended = "", failed.attempts, True
                else:
                    text, finish_reason, asked = reply.text, reply.finish_reason, reply.attempts
                    sent += asked
                    error = _unreadable(request.question, text)
                    if finish_reason == "length":
                        error = f"the reply was cut off after {request.max_tokens} tokens"
                    ended = not error
                if asked:
                    log.append(
                        {
                            "request": request.key,
                            "question": request.question.name,
                            "judge": self.settings.model,
                            "prompts": prompts.version,
                            "messages": request.messages,
                            "max_tokens": request.max_tokens,
                            "sampling": sampling,
                            "reply": text,
                            "finish_reason": finish_reason,
                            "ok": not error,
                            "error": error,
                            "attempts": sent,
                            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                            "seconds": round(time.monotonic() - started, 3),
                        }
                    )
                if ended:
                    break
            else:
                error = f"no usable reply in {self.settings.attempts} attempts: {error}"
        return self._reply(request, prompts, text, error, sent)

    def _reply(self, request: _Request, prompts: Prompts, text: str, error: str, attempts: int) -> Reply:
        return Reply(request.question.name, request.key, self.identity(prompts), text, error, attempts)


class KeptReplies(Judge):
    """A judge who is not asked any more: what was said and kept is all there is."""

    def __init__(self, settings: JudgeSettings):
        self.settings = settings

    def _answers(
        self, benchmark: Benchmark, prompts: Prompts, requests: Sequence[_Request], log: ReplyLog
    ) -> list[Reply]:
        """Raises:
        CellError: always.
        """
        raise CellError(
            f"{benchmark.name} must be judged again, because {len(requests)} questions to the judge have no reply that "
            "can be read: kawhi rejudge RUN --judge NAME"
        )


def rule_outcome(sample: Sample) -> Outcome:
    """What the rule said of a sample."""
    return Outcome(sample.rule_score, sample.rule_extraction, sample.rule_parts)


def with_outcome(sample: Sample, outcome: Outcome, replies: list[Reply]) -> Sample:
    """The sample with its final outcome."""
    return replace(
        sample, score=outcome.score, extraction=outcome.extraction, parts=dict(outcome.parts), replies=replies
    )


def decided(benchmark: Benchmark, sample: Sample, requests: list[_Request], replies: list[Reply]) -> Sample:
    """The sample with what its replies mean, or without a score where one is no verdict."""
    if not requests:
        return with_outcome(sample, rule_outcome(sample), [])
    if any(reply.error for reply in replies):
        return replace(sample, score=None, extraction="", parts={}, replies=replies)
    parsed = [request.question.parse(reply.text) for request, reply in zip(requests, replies, strict=True)]
    assert benchmark.verdict is not None
    return with_outcome(sample, benchmark.verdict(sample.facts, sample.response, rule_outcome(sample), parsed), replies)


def _unreadable(question: JudgeQuestion, text: str) -> str:
    """Why the reply is no verdict; empty when it is one."""
    try:
        question.parse(text)
    except Exception as error:  # whatever a parser trips over, the reply has not been read, and the reason is kept
        return str(error) or type(error).__name__
    return ""


def _image_kind(image: bytes, sample: str) -> tuple[str, str]:
    """sha256 and MIME type.

    Raises:
        CellError: the bytes are no image.
    """
    try:
        with Image.open(io.BytesIO(image)) as opened:
            kind = opened.get_format_mimetype()
    except OSError as error:
        raise CellError(f"an image of sample {sample} cannot be shown to the judge: {error}") from error
    return hashlib.sha256(image).hexdigest(), kind or "application/octet-stream"


def _with_images(request: _Request) -> list[dict[str, Any]]:
    """The messages as the server wants them."""
    if not request.question.images:
        return request.messages
    *before, last = request.messages
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{base64.b64encode(image).decode()}"}}
        for kind, image in zip(request.kinds, request.question.images, strict=True)
    ]
    return [*before, {"role": "user", "content": [*parts, last["content"][-1]]}]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
