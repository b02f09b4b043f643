"""What a row must be to be trained on: one set of checks for ``kawhi prepare`` and for files of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kawhi.data import schema
from kawhi.data.prompt_length import Length, Message
from kawhi.data.prompts import IMAGE, compose
from kawhi.data.sources.base import Example

RULES = 2
"""Part of what makes two preparations the same: raise it with every change of what is kept or dropped."""

MIN_SIDE = 28
"""Pixels: the side of one visual token of Qwen2.5-VL; a smaller image is mostly what the processor makes up."""

MAX_RATIO = 200
"""Longer side by shorter; beyond it the Qwen processors raise."""

Size = tuple[int, int]

_FOREIGN = ("<video>", "<audio>")


class Measure(Protocol):
    """How long prompts are for a model, and what none of its texts may hold; :class:`PromptLength` is one."""

    @property
    def special(self) -> Sequence[str]: ...

    def __call__(self, messages: Sequence[Message], sizes: Sequence[Size]) -> Length: ...


@dataclass(frozen=True)
class Dropped:
    """A row that is left out: ``reason`` is one of a few, ``detail`` is about this row."""

    split: str
    id: str
    reason: str
    detail: str


class Unfit(Exception):
    """Reason and detail of a row that nobody can train on."""

    def __init__(self, reason: str, detail: str):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def check(
    example: Example, source: str, split: str, measure: Measure, max_prompt_length: int
) -> dict[str, Any] | Dropped:
    """The example as a row of the schema, or why it is none: the first reason that is found."""
    try:
        if not example.question.replace(IMAGE, "").strip():
            raise Unfit("no question", "the question is empty")
        if not example.answer:
            raise Unfit("no answer", "the answer is empty or its box is not closed")
        if not example.images:
            raise Unfit("no image", "a question in text alone: there is nothing to look at")
        prompt = compose(example.question, len(example.images))
        messages = [Message(role="user", content=prompt)]
        _refuse_texts(messages, len(example.images), measure.special)
        contents, sizes = [], []
        for which, read in _named(example.images):
            contents.append(_read(read, which))
            sizes.append(_image_size(contents[-1], which))
        refuse_length(messages, sizes, measure, max_prompt_length)
    except Unfit as why:
        return Dropped(split, example.id, why.reason, why.detail)
    return schema.example(
        source=source,
        split=split,
        index=example.number,
        id=example.id,
        images=contents,
        prompt=prompt,
        question=example.question,
        answer=example.answer,
        task=example.task,
        choices=example.choices,
    )


def refuse_row(row: dict[str, Any], special: Sequence[str]) -> list[Message]:
    """The messages of a row of a file whose texts and form can be trained on; its images are for :func:`image_sizes`.

    Args:
        special: texts that the model's tokenizer takes for something else.

    Raises:
        Unfit: the first reason that is found.
    """
    messages = _messages(row["prompt"])
    if not any(message["content"].replace(IMAGE, "").strip() for message in messages if message["role"] == "user"):
        raise Unfit("no question", "no user message with a question in it")
    _refuse_truth(row["reward_model"])
    _refuse_about(row)
    _refuse_texts(messages, len(_images(row["images"])), special)
    return messages


def image_sizes(row: dict[str, Any]) -> list[Size]:
    """Width and height of each image of a row of a file, all of which can be trained on.

    Raises:
        Unfit: the first reason that is found.
    """
    return [_image_size(_embedded(image, which), which) for which, image in _named(_images(row["images"]))]


def refuse_length(messages: Sequence[Message], sizes: Sequence[Size], measure: Measure, most: int) -> None:
    """
    Raises:
        Unfit: the prompt with all its messages and images has more than ``most`` tokens; verl would lose its responses.
    """
    length = measure(messages, sizes)
    if length.total > most:
        detail = f"{length.total} tokens, {length.image} of them for images; the limit is {most}"
        raise Unfit("prompt too long", detail)


def _messages(prompt: Any) -> list[Message]:
    """The messages of a prompt of the right form."""
    if not isinstance(prompt, list):
        raise Unfit("prompt form", f"the prompt is {_kind(prompt)}, not a list of messages with role and content")
    for number, message in enumerate(prompt, start=1):
        fields = message if isinstance(message, dict) else {}
        if not all(isinstance(fields.get(name), str) for name in Message.__annotations__):
            raise Unfit("prompt form", f"message {number} of the prompt is not a role and a content that are texts")
    return prompt


def _refuse_truth(reward: Any) -> None:
    if not isinstance(reward, dict) or "ground_truth" not in reward:
        raise Unfit("no answer", "no ground_truth in reward_model")
    truth = reward["ground_truth"]
    if truth is not None and not isinstance(truth, str):
        raise Unfit("answer form", f"the ground_truth {str(truth)[:40]} is {_kind(truth)}, not a text")
    if not (truth or "").strip():
        raise Unfit("no answer", "no ground_truth in reward_model")


def _refuse_about(row: dict[str, Any]) -> None:
    """What verl and the seeds of requests read beside prompt, images and truth."""
    if not isinstance(row["data_source"], str):
        raise Unfit("data_source", f"the data_source is {_kind(row['data_source'])}, not a text")
    about = row.get("extra_info")
    if not isinstance(about, dict | None):
        raise Unfit("extra_info", f"extra_info is {_kind(about)}, not a struct")
    index = (about or {}).get("index", 0)
    if not isinstance(index, int) or isinstance(index, bool):
        raise Unfit("extra_info", f"the index in extra_info is {_kind(index)}, not a whole number")


def _refuse_texts(messages: Sequence[Message], images: int, special: Sequence[str]) -> None:
    """What of any message another program would not take for text."""
    text = "\n".join(message["content"] for message in messages)
    if foreign := [marker for marker in _FOREIGN if marker in text]:
        raise Unfit("foreign marker", f"verl takes {foreign[0]} in a message for an input")
    if found := [token for token in special if token in text]:
        raise Unfit("special token", f"the model takes {found[0]} in a message for a token of its own, not for text")
    if text.count(IMAGE) != images:
        raise Unfit("image count", f"{text.count(IMAGE)} {IMAGE} marker(s) but {images} image(s)")


def _images(images: Any) -> list[Any]:
    if not isinstance(images, list | None):
        raise Unfit("image form", f"images is {_kind(images)}, not a list")
    return images or []


def _embedded(image: Any, which: str) -> bytes:
    """The bytes of an image of a file."""
    if isinstance(image, dict) and "bytes" in image and (image["bytes"] is not None or not image.get("path")):
        return image["bytes"] or b""
    path = image.get("path") or image.get("image") if isinstance(image, dict) else image
    if isinstance(path, str):
        raise Unfit(
            "image form",
            f"{which} is the path {path!r}: put the file's bytes into the row as {{'bytes': ...}}, since a cell is "
            "known by its data file, which must hold all that it trains on",
        )
    raise Unfit("image form", f"{which} is {_kind(image)}, not {{'bytes': ...}}")


def _read(read: Callable[[], bytes], which: str) -> bytes:
    try:
        return read()  # any other error of the disk stops the work: it says nothing about the row
    except FileNotFoundError as error:
        raise Unfit("image missing", f"{which}: {error}") from error


def _image_size(content: bytes, which: str) -> Size:
    """Size of an image that can be trained on."""
    try:
        width, height = schema.decoded_size(content)
    except Exception as error:  # PIL raises many kinds on broken files, and all mean the same here
        # Without the address of an object, which differs in every run.
        why = re.sub(r" <_io\.\w+ object at 0x[0-9a-f]+>", "", " ".join(str(error).split()))
        raise Unfit("image cannot be decoded", f"{which} cannot be decoded: {why}") from error
    shape = f"{which} has {width} x {height} pixels"
    if min(width, height) < MIN_SIDE:
        raise Unfit("image too small", f"{shape}; the least side is {MIN_SIDE}")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise Unfit("image too narrow", f"{shape}; the highest ratio is {MAX_RATIO}")
    return width, height


def _named(images: Sequence[Any]) -> list[tuple[str, Any]]:
    """Each image with what a sentence calls it."""
    if len(images) == 1:
        return [("the image", images[0])]
    return [(f"image {number}", image) for number, image in enumerate(images, start=1)]


def _kind(value: Any) -> str:
    """What a sentence calls the type of a value that should have another one."""
    names = {type(None): "empty", bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    names |= {list: "a list", dict: "a struct", bytes: "bytes"}
    return names.get(type(value), type(value).__name__)
