"""How many tokens a prompt has for a model, without computing its pixels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

from kawhi.data.prompts import IMAGE


class Message(TypedDict):
    """One message of a prompt; its content has an ``<image>`` for each image."""

    role: str
    content: str


class Length(NamedTuple):
    """Tokens of a prompt, and those among them that stand for images."""

    total: int
    image: int


class PromptLength:
    """Counts what verl will: chat template, tokenizer and image sizes are those of the model's own processor.

    Qwen's helper resizes an image before the processor does, as in verl's data set, because both round.

    Args:
        limits: ``min_pixels`` and ``max_pixels`` of an image, where training has its own.

    Attributes:
        special: texts that the tokenizer takes for a token of the model's own, among them those that stand for inputs.
    """

    def __init__(self, processor: Any, limits: Mapping[str, int] | None = None) -> None:
        self._processor, self._limits = processor, limits or {}
        added = processor.tokenizer.added_tokens_decoder.values()
        self.special = [token.content for token in added if token.special]

    @classmethod
    def of(cls, folder: str, limits: Mapping[str, int] | None = None) -> PromptLength:
        """
        Raises:
            OSError, ValueError: the folder holds no processor of a Qwen-VL model.
        """
        from kawhi.wheels import torchvision_shim

        torchvision_shim.install()
        from transformers import AutoProcessor

        processor = AutoProcessor.from_pretrained(folder)
        if not hasattr(getattr(processor, "image_processor", None), "get_number_of_image_patches"):
            raise ValueError(f"{folder} holds no processor for images")
        return cls(processor, limits)

    def __call__(self, messages: Sequence[Message], sizes: Sequence[tuple[int, int]]) -> Length:
        """
        Args:
            messages: all of the prompt, with one ``<image>`` per image.
            sizes: width and height of each image, pixels.
        """
        chat = self._processor.apply_chat_template(
            [{"role": message["role"], "content": _parts(message["content"])} for message in messages],
            add_generation_prompt=True,
            tokenize=False,
        )
        text = len(self._processor.tokenizer(chat)["input_ids"])
        image = sum(self._image_tokens(*size) for size in sizes)
        return Length(text - len(sizes) + image, image)  # the template has one placeholder for each image

    def _image_tokens(self, width: int, height: int) -> int:
        from qwen_vl_utils.vision_process import smart_resize

        images = self._processor.image_processor
        resized = smart_resize(height, width, factor=images.patch_size * images.merge_size, **self._limits)
        return images.get_number_of_image_patches(*resized, {}) // images.merge_size**2


def _parts(content: str) -> list[dict[str, str]]:
    """A message's text and images, as verl's data set cuts it."""
    parts = [part for part in re.split(f"({IMAGE})", content) if part]
    return [{"type": "image"} if part == IMAGE else {"type": "text", "text": part} for part in parts]
