"""What an example must be to be trained on; everything else is dropped with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kawhi.data import schema
from kawhi.data.prompt_length import Length
from kawhi.data.prompts import IMAGE, compose
from kawhi.data.sources.base import Example

RULES = 1
"""Part of what makes two preparations the same: raise it with every change of what is kept or dropped."""

MIN_SIDE = 28
"""Pixels: the side of one visual token of Qwen2.5-VL; a smaller image is mostly what the processor makes up."""

MAX_RATIO = 200
"""Longer side by shorter; beyond it the Qwen processors raise."""

Measure = Callable[[str, Sequence[tuple[int, int]]], Length]


@dataclass(frozen=True)
class Dropped:
    """A row that is left out: ``reason`` is one of a few, ``detail`` is about this row."""

    split: str
    id: str
    reason: str
    detail: str


class _Unfit(Exception):
    """Reason and detail of a row that is left out."""


def check(
    example: Example, source: str, split: str, measure: Measure, max_prompt_length: int
) -> dict[str, Any] | Dropped:
    """The example as a row of the schema, or why it is none: the first reason that is found."""
    try:
        prompt = _prompt(example)
        several = len(example.images) > 1
        found = [
            _image(read, f"image {number}" if several else "the image")
            for number, read in enumerate(example.images, start=1)
        ]
        length = measure(prompt, [size for _, size in found])
        if length.total > max_prompt_length:
            detail = f"{length.total} tokens, {length.image} of them for images; the limit is {max_prompt_length}"
            raise _Unfit("prompt too long", detail)
    except _Unfit as why:
        return Dropped(split, example.id, *why.args)
    return schema.example(
        source=source,
        split=split,
        index=example.number,
        id=example.id,
        images=[content for content, _ in found],
        prompt=prompt,
        question=example.question,
        answer=example.answer,
        task=example.task,
        choices=example.choices,
    )


def _prompt(example: Example) -> str:
    """The prompt of an example whose texts can be trained on."""
    if not example.question.replace(IMAGE, "").strip():
        raise _Unfit("no question", "the question is empty")
    if not example.answer:
        raise _Unfit("no answer", "the answer is empty or its box is not closed")
    if not example.images:
        raise _Unfit("no image", "a question in text alone: there is nothing to look at")
    prompt = compose(example.question, len(example.images))
    if "<video>" in prompt or "<audio>" in prompt:
        raise _Unfit("foreign marker", "verl takes <video> and <audio> in the question for inputs")
    if prompt.count(IMAGE) != len(example.images):
        raise _Unfit("image count", f"{prompt.count(IMAGE)} {IMAGE} marker(s) but {len(example.images)} image(s)")
    return prompt


def _image(read: Callable[[], bytes], which: str) -> tuple[bytes, tuple[int, int]]:
    """Content and size of an image that can be trained on."""
    try:
        content = read()  # any other error of the disk stops the work: it says nothing about the row
    except FileNotFoundError as error:
        raise _Unfit("image missing", f"{which}: {error}") from error
    try:
        width, height = schema.decoded_size(content)
    except Exception as error:  # PIL raises many kinds on broken files, and all mean the same here
        # Without the address of an object, which differs in every run.
        why = re.sub(r" <_io\.\w+ object at 0x[0-9a-f]+>", "", " ".join(str(error).split()))
        raise _Unfit("image cannot be decoded", f"{which}: {why}") from error
    shape = f"{which} has {width} x {height} pixels"
    if min(width, height) < MIN_SIDE:
        raise _Unfit("image too small", f"{shape}; the least side is {MIN_SIDE}")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise _Unfit("image too narrow", f"{shape}; the highest ratio is {MAX_RATIO}")
    return content, (width, height)
