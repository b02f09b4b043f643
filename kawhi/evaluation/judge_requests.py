"""A question to the judge as it is sent, and what came back for it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import dataclass
from typing import Any

from PIL import Image

from kawhi.base.errors import CellError
from kawhi.evaluation.benchmark import JudgeQuestion


@dataclass(frozen=True)
class Request:
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


@dataclass(frozen=True)
class Heard:
    """How one time of asking ended.

    Attributes:
        text: the reply without what the model thought before it.
        attempts: requests that were sent.
        error: why it is no verdict; empty when it is one.
        final: whether asking again would be of no use.
        reasoning: what the model thought.
    """

    text: str = ""
    finish_reason: str = ""
    attempts: int = 0
    error: str = ""
    final: bool = False
    reasoning: str = ""


_THOUGHT = re.compile(r"(<think>)?(?P<thought>.*)</think>(?P<rest>.*)|<think>(?P<open>.*)", re.DOTALL)


def spoken(text: str) -> tuple[str, str]:
    """A reply without what a reasoning model thought before it, and the thought; an open one leaves no reply."""
    found = _THOUGHT.fullmatch(text.strip())
    if not found:
        return text, ""
    return found["rest"] or "", found["thought"] or found["open"] or ""


def image_kind(image: bytes, sample: str) -> tuple[str, str]:
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


def with_images(request: Request) -> list[dict[str, Any]]:
    """The messages as the server wants them."""
    if not request.question.images:
        return request.messages
    *before, last = request.messages
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{base64.b64encode(image).decode()}"}}
        for kind, image in zip(request.kinds, request.question.images, strict=True)
    ]
    return [*before, {"role": "user", "content": [*parts, last["content"][-1]]}]


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
