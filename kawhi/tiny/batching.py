"""Problems -> model inputs for the warm start, without the per-image overhead of the Hugging Face processor.

``tests/tiny/test_batching.py`` holds these to what the processor returns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from transformers import Qwen2Tokenizer

from kawhi.tiny.architectures import FAMILIES, Family
from kawhi.tiny.world import Problem

IGNORE = -100


def patchify(images: Sequence[Image.Image], family: Family) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of the family's size -> ``pixel_values (B * gh * gw, 3 * 2 * p * p)`` and ``image_grid_thw (B, 3)``.

    Rows follow the 2 x 2 merge order of the Qwen-VL processors; a still image fills both temporal slots.
    """
    spec = FAMILIES[family]
    p = spec.patch_size
    mean, std = np.asarray(spec.image_mean, np.float32), np.asarray(spec.image_std, np.float32)
    x: np.ndarray = (np.stack([np.asarray(image, np.float32) for image in images]) / 255.0 - mean) / std
    batch, height, width, _ = x.shape
    gh, gw = height // p, width // p
    x = x.transpose(0, 3, 1, 2).reshape(batch, 3, gh // 2, 2, p, gw // 2, 2, p)
    x = x.transpose(0, 2, 5, 3, 6, 1, 4, 7)[:, :, :, :, :, :, None]
    x = np.broadcast_to(x, (*x.shape[:6], 2, p, p)).reshape(batch * gh * gw, -1)
    return torch.from_numpy(np.ascontiguousarray(x)), torch.tensor([[1, gh, gw]] * batch)


class Batcher:
    """Builds padded supervised batches of one family; caches the tokenised prompts and responses' vocabulary."""

    def __init__(self, family: Family, tokenizer: Qwen2Tokenizer):
        self.family, self.tokenizer = family, tokenizer
        spec = FAMILIES[family]
        self.side = spec.image_size // (2 * spec.patch_size)
        """Visual tokens along one side of the image."""
        self.image_token = tokenizer.convert_tokens_to_ids("<|image_pad|>")
        self._prompts: dict[str, list[int]] = {}

    def prompt_ids(self, question: str) -> list[int]:
        """Token ids of the chat prompt, the image placeholder expanded to ``side ** 2`` tokens."""
        if question not in self._prompts:
            content = [{"type": "image"}, {"type": "text", "text": question}]
            text = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
            )
            text = text.replace("<|image_pad|>", "<|image_pad|>" * self.side**2)
            self._prompts[question] = self.tokenizer(text)["input_ids"]
        return self._prompts[question]

    def supervised(self, batch: Sequence[Problem], responses: Sequence[str]) -> tuple[dict, torch.Tensor]:
        """Right-padded model inputs and labels ``(B, S)``; ``IGNORE`` outside the responses."""
        prompts = [self.prompt_ids(problem.question) for problem in batch]
        answers = [self.tokenizer(text)["input_ids"] + [self.tokenizer.eos_token_id] for text in responses]
        length = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
        ids = torch.full((len(batch), length), self.tokenizer.pad_token_id)
        labels = torch.full((len(batch), length), IGNORE)
        mask = torch.zeros(len(batch), length, dtype=torch.long)
        for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            n = len(prompt) + len(answer)
            ids[i, :n] = torch.tensor(prompt + answer)
            labels[i, len(prompt) : n] = torch.tensor(answer)
            mask[i, :n] = 1
        size = FAMILIES[self.family].image_size
        pixels, grid = patchify([problem.drawing.render(size) for problem in batch], self.family)
        inputs = dict(
            input_ids=ids,
            attention_mask=mask,
            mm_token_type_ids=(ids == self.image_token).int(),
            pixel_values=pixels,
            image_grid_thw=grid,
        )
        return inputs, labels
