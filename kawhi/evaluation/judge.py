"""The judge: a model that reads a response and replies with exactly one of the verdicts it is allowed.

No reply is ever guessed at.  One that cannot be read is asked for again, and then it is an error, which is kept beside
the sample and stops the benchmark from having a score.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kawhi.base.errors import CellError
from kawhi.evaluation.benchmark import Benchmark, JudgeQuestion, Outcome
from kawhi.evaluation.endpoint import Endpoint, EndpointError, Refused, run_all
from kawhi.evaluation.judge_requests import Heard, Request, digest, image_kind, spoken, with_images
from kawhi.evaluation.judge_settings import JudgeSettings
from kawhi.evaluation.prompts import Prompts, prompts_of
from kawhi.evaluation.replicas import Replicas
from kawhi.evaluation.reply_log import ReplyLog
from kawhi.evaluation.samples import REFUSED, Reply, Sample

FEW, FEW_REASONING = 50, 5
"""Replies of which none is a verdict, after which no more are waited for; fewer where the model is seen to reason."""


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
        endpoints = [
            Endpoint(
                address,
                settings.model,
                api_key=key,
                concurrency=math.ceil(settings.concurrency / len(settings.addresses)),
                timeout=settings.timeout,
                attempts=settings.attempts,
                patience=settings.patience,
            )
            for address in settings.addresses
        ]
        self.endpoint = endpoints[0] if len(endpoints) == 1 else Replicas(endpoints)
        self._unreadable_so_far: int | None = 0  # None once a reply was a verdict

    def identity(self, prompts: Prompts) -> str:
        """12 hexadecimal digits of the hash of (judge model, prompt version)."""
        return digest({"judge": self.settings.model, "prompts": prompts.version})[:12]

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
        done = [
            decided(benchmark, sample, requests, [replies[request.key] for request in requests])
            for sample, requests in zip(samples, asked, strict=True)
        ]
        return self._with_refusals(benchmark, done, replies.values())

    def _with_refusals(self, benchmark: Benchmark, samples: list[Sample], replies: Collection[Reply]) -> list[Sample]:
        """With what the server refused for good counted as wrong, where ``on_refusal`` says so.

        Raises:
            CellError: it refuses so much that something else is wrong.
        """
        refused = [reply for reply in replies if reply.error.startswith(REFUSED)]
        if self.settings.on_refusal != "wrong" or not refused:
            return samples
        if len(refused) > max(1, self.settings.refusals * len(replies)):
            raise CellError(
                f"the judge refused {len(refused)} of {len(replies)} questions of {benchmark.name} for good, more than "
                f"judge.refusals={self.settings.refusals:g} of them, the last because {refused[-1].error}"
            )
        return [counted_as_wrong(sample) for sample in samples]

    def _answers(
        self, benchmark: Benchmark, prompts: Prompts, requests: Sequence[Request], log: ReplyLog
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
    ) -> list[Request]:
        assert benchmark.questions is not None
        if lost := sorted(set(sample.images) - set(images)):
            raise CellError(f"images.parquet lacks {', '.join(lost)} of sample {sample.id}: evaluate again")
        shown = [images[key] for key in sample.images]
        questions = benchmark.questions(sample.facts, sample.response, rule_outcome(sample), shown)
        for image in (image for question in questions for image in question.images):
            if image not in seen:
                seen[image] = image_kind(image, sample.id)
        return [self._request(question, prompts, seen) for question in questions]

    def _request(self, question: JudgeQuestion, prompts: Prompts, seen: Mapping[bytes, tuple[str, str]]) -> Request:
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
        if self.settings.extra_body:
            sent["extra_body"] = self.settings.extra_body
        kinds = [seen[image][1] for image in question.images]
        return Request(digest(sent)[:16], question, messages, kinds, max_tokens)

    def _kept(self, requests: Mapping[str, Request], prompts: Prompts, log: ReplyLog) -> dict[str, Reply]:
        replies = {}
        for key, request in requests.items():
            kept = log.good.get(key)
            if kept is not None and not _unreadable(request.question, kept["reply"]):
                replies[key] = self._reply(request, prompts, kept["reply"], "", kept["attempts"])
            elif key in log.refused and self.settings.on_refusal == "wrong":
                refused = log.refused[key]
                replies[key] = self._reply(request, prompts, "", refused["error"], refused["attempts"])
        if any(not reply.error for reply in replies.values()):
            self._unreadable_so_far = None
        return replies

    async def _ask(self, request: Request, prompts: Prompts, log: ReplyLog, turn: asyncio.Semaphore) -> Reply:
        async with turn:  # before the images are encoded, or all of them would be in memory at once
            messages = with_images(request)
            sent, heard = 0, Heard()
            for attempt in range(self.settings.attempts):
                started = time.monotonic()
                heard = await self._once(messages, request, attempt)
                sent += heard.attempts
                if heard.attempts:
                    log.append(
                        {
                            "request": request.key,
                            "question": request.question.name,
                            "judge": self.settings.model,
                            "prompts": prompts.version,
                            "messages": request.messages,
                            "max_tokens": request.max_tokens,
                            "sampling": self.settings.sampling(attempt),
                            "reply": heard.text,
                            "finish_reason": heard.finish_reason,
                            "ok": not heard.error,
                            "error": heard.error,
                            "attempts": sent,
                            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                            "seconds": round(time.monotonic() - started, 3),
                            **({"reasoning": heard.reasoning} if heard.reasoning else {}),
                        }
                    )
                if heard.final:
                    return self._reply(request, prompts, heard.text, heard.error, sent)
                self._refuse_one_who_never_replies(heard)
        error = f"no usable reply in {self.settings.attempts} attempts: {heard.error}"
        return self._reply(request, prompts, heard.text, error, sent)

    async def _once(self, messages: list[dict[str, Any]], request: Request, attempt: int) -> Heard:
        """Asks one time."""
        body = {"max_tokens": request.max_tokens, **self.settings.sampling(attempt), **(self.settings.extra_body or {})}
        try:
            reply = await self.endpoint.chat(messages, **body)
        except EndpointError as failed:
            refused = REFUSED if isinstance(failed, Refused) else ""
            return Heard(attempts=failed.attempts, error=f"{refused}{failed}", final=True)
        text, thought = spoken(reply.text)
        error = _unreadable(request.question, text)
        if reply.finish_reason == "length":
            error = f"the reply was cut off after {body['max_tokens']} tokens"
        if not error:
            self._unreadable_so_far = None
        return Heard(text, reply.finish_reason, reply.attempts, error, not error, reply.reasoning or thought)

    def _refuse_one_who_never_replies(self, heard: Heard) -> None:
        """Raises:
        CellError: none of the first replies is a verdict, so that thousands more would be none.
        """
        if self._unreadable_so_far is None:
            return
        self._unreadable_so_far += 1
        if self._unreadable_so_far < (FEW_REASONING if heard.reasoning else FEW):
            return
        model, number = self.settings.model, self._unreadable_so_far
        seen = f"{model} reasons before it replies, and n" if heard.reasoning else "N"
        raise CellError(
            f"{seen}one of the first {number} replies of the judge {model} is a verdict, the last: {heard.error}. "
            "Where the model reasons, judge.extra_body={chat_template_kwargs:{enable_thinking:false}} switches that "
            "off, or judge.extra_body={max_tokens:8192} gives it room; else it is the wrong judge.model"
        )

    def _reply(self, request: Request, prompts: Prompts, text: str, error: str, attempts: int) -> Reply:
        return Reply(request.question.name, request.key, self.identity(prompts), text, error, attempts)


class KeptReplies(Judge):
    """A judge who is not asked any more: what was said and kept is all there is."""

    def __init__(self, settings: JudgeSettings):
        self.settings = settings

    def _answers(
        self, benchmark: Benchmark, prompts: Prompts, requests: Sequence[Request], log: ReplyLog
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


def counted_as_wrong(sample: Sample) -> Sample:
    """A sample that the judge refused for good, as a wrong one; any other as it is."""
    wrong = replace(sample, score=0.0)  # without parts, which are nothing that anybody has seen
    return wrong if sample.score is None and wrong.refused else sample


def decided(benchmark: Benchmark, sample: Sample, requests: list[Request], replies: list[Reply]) -> Sample:
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
