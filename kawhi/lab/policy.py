"""A Qwen-VL checkpoint that samples groups of responses and weighs them; a group computes its prompt once.

transformers' own modules do all arithmetic.  A prompt's keys and values are kept in transformers' cache and repeated
for its responses, with gradients where they are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor, DynamicCache
from transformers.utils import logging as transformers_logging

from kawhi.pictures.rgb import picture
from kawhi.tiny.vision_batching import batch_vision_attention

PER_PATCH = "pixel_values"


@dataclass(frozen=True)
class Prompts:
    """Prompts with one image each, padded on the left.

    Attributes:
        inputs: the processor's tensors; ``pixel_values`` has the patches of all images, one after the other.
        positions: ``(3, P, L)`` mRoPE positions.
        images: as they were given.
    """

    inputs: dict[str, Tensor]
    positions: Tensor
    images: Sequence[Image.Image]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Sequence[int]) -> Prompts:
        """Some of the prompts, in this order."""
        patches = self.inputs[PER_PATCH].split(self.inputs["image_grid_thw"].prod(dim=1).tolist())
        chosen = torch.tensor(rows)
        inputs = {name: x[chosen] for name, x in self.inputs.items() if name != PER_PATCH}
        inputs[PER_PATCH] = torch.cat([patches[row] for row in rows])
        return Prompts(inputs, self.positions[:, chosen], [self.images[row] for row in rows])

    def showing(self, pixel_values: Tensor) -> Prompts:
        """The same prompts with other pixels."""
        return Prompts({**self.inputs, PER_PATCH: pixel_values}, self.positions, self.images)


class Watcher(Protocol):
    """Sees what hooks catch of the two parts of a pass; each part runs after ``begin``."""

    def begin(self) -> None: ...

    def saw_prompts(self, prompts: Prompts, group: int) -> None: ...

    def saw_responses(self, mask: Tensor) -> None: ...


class Policy:
    """A checkpoint in one precision on one device.

    Args:
        path: local folder or hub id of a Qwen2.5-VL or Qwen3-VL model.
    """

    def __init__(self, path: str | Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32):
        transformers_logging.disable_progress_bar()  # a study loads a model many times, and has a bar of its own
        model: Any = AutoModelForImageTextToText.from_pretrained(path, dtype=dtype, attn_implementation="sdpa")
        self.model = model.to(device).eval()
        if device == "cpu":
            batch_vision_attention(self.model)
        self.processor: Any = AutoProcessor.from_pretrained(path)
        self.tokenizer = self.processor.tokenizer
        self.device = device
        ends = self.model.generation_config.eos_token_id
        self.ends = torch.tensor(ends if isinstance(ends, list) else [ends], device=device)
        self.image_token: int = self.model.config.image_token_id
        video = self.model.config.video_token_id
        self._never_said = torch.tensor([self.image_token, video], device=device)

    def prompts(self, images: Sequence[Image.Image], questions: Sequence[str]) -> Prompts:
        """The chat prompts that training and evaluation use: the image, then the question."""
        chats = [
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
            for question in questions
        ]
        texts = [self.processor.apply_chat_template(chat, add_generation_prompt=True) for chat in chats]
        features = self.processor(
            images=[picture(image) for image in images],
            text=texts,
            return_tensors="pt",
            padding=True,
            padding_side="left",
        )
        inputs = {name: value.to(self.device) for name, value in features.items()}
        positions, _ = self.model.model.get_rope_index(
            inputs["input_ids"],
            mm_token_type_ids=inputs["mm_token_type_ids"],
            image_grid_thw=inputs["image_grid_thw"],
            attention_mask=inputs["attention_mask"],
        )
        return Prompts(inputs, positions, images)

    @torch.no_grad()
    def sample(self, prompts: Prompts, group: int, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Responses at temperature 1, ``group`` of each prompt.

        Args:
            noise: ``(T, P * group)`` uniform numbers, one for each token: whoever passes the same ones to two policies
                gets the same responses as far as the policies agree.

        Returns:
            ``(P * group, T)`` tokens and which of them are the response, the end token included.
        """
        hidden, cache = self._read_prompts(prompts)
        cache.batch_repeat_interleave(group)
        hidden, seen, start = self._repeated(hidden, prompts, group)
        limit, count = noise.shape
        tokens = torch.full((count, limit), int(self.ends[0]), device=self.device)
        mask = torch.zeros(count, limit, dtype=torch.bool, device=self.device)
        alive = torch.arange(count, device=self.device)
        for step in range(limit):
            chosen = self._drawn(hidden, noise[step].to(self.device)[alive])
            tokens[alive, step], mask[alive, step] = chosen, True
            going = ~torch.isin(chosen, self.ends)
            if not bool(going.any()):
                break
            if not bool(going.all()):
                cache.batch_select_indices(going)
                alive, chosen, seen, start = alive[going], chosen[going], seen[going], start[:, going]
            seen = torch.cat([seen, seen.new_ones(len(seen), 1)], dim=1)
            hidden = self._language(chosen[:, None], (start + step)[:, :, None], seen, cache)[:, 0]
        longest = max(1, int(mask.any(dim=0).sum()))
        return tokens[:, :longest], mask[:, :longest]

    def logits(self, prompts: Prompts, tokens: Tensor, mask: Tensor, watcher: Watcher | None = None) -> Tensor:
        """``(S, V)`` float32 at the states that predict the ``S`` tokens of the responses, response after response.

        Args:
            tokens, mask: ``(P * group, T)``, as :meth:`sample` returns them.
        """
        if watcher is not None:
            watcher.begin()
        group = len(tokens) // len(prompts)
        last, cache = self._read_prompts(prompts)
        if watcher is not None:
            watcher.saw_prompts(prompts, group)
            watcher.begin()
        cache.batch_repeat_interleave(group)
        last, seen, start = self._repeated(last, prompts, group)
        seen = torch.cat([seen, mask.to(seen.dtype)], dim=1)
        positions = start[:, :, None] + torch.arange(tokens.shape[1], device=self.device)
        hidden = self._language(tokens, positions, seen, cache)
        if watcher is not None:
            watcher.saw_responses(mask)
        predicting = torch.cat([last[:, None], hidden[:, :-1]], dim=1)
        return self.model.lm_head(predicting[mask]).float()

    def _read_prompts(self, prompts: Prompts) -> tuple[Tensor, DynamicCache]:
        """The last state of each prompt, and the keys and values of all."""
        cache = DynamicCache()
        hidden = self.model.model(
            **prompts.inputs, position_ids=prompts.positions, past_key_values=cache, use_cache=True
        )[0]
        return hidden[:, -1], cache

    def _repeated(self, last: Tensor, prompts: Prompts, group: int) -> tuple[Tensor, Tensor, Tensor]:
        """Last states, attention masks and the position behind the prompt, once for each response."""
        seen = prompts.inputs["attention_mask"].repeat_interleave(group, dim=0)
        behind = prompts.positions.amax(dim=(0, 2)) + 1
        return (
            last.repeat_interleave(group, dim=0),
            seen,
            behind.repeat_interleave(group)[None].expand(3, -1),
        )

    def _language(self, tokens: Tensor, positions: Tensor, seen: Tensor, cache: DynamicCache) -> Tensor:
        language = self.model.model.language_model
        return language(
            input_ids=tokens, attention_mask=seen, position_ids=positions, past_key_values=cache, use_cache=True
        )[0]

    def _drawn(self, hidden: Tensor, noise: Tensor) -> Tensor:
        """Tokens by the inverse of the distribution function; a placeholder of an image is never said."""
        logits = self.model.lm_head(hidden).float().index_fill(-1, self._never_said, -torch.inf)
        below = logits.softmax(dim=-1).cumsum(dim=-1)
        wanted = (noise.to(below)[:, None] * below[:, -1:]).contiguous()
        return torch.searchsorted(below, wanted, right=True).clamp_(max=below.shape[-1] - 1)[:, 0]


def token_log_probs(logits: Tensor, tokens: Tensor) -> Tensor:
    """``(S,)`` log-probability of each token under its row of logits."""
    return logits.log_softmax(dim=-1).gather(1, tokens[:, None])[:, 0]


def entropies(logits: Tensor) -> Tensor:
    """``(S,)`` entropy in nats of each row."""
    log_probs = logits.log_softmax(dim=-1)
    return -(log_probs.exp() * log_probs).sum(dim=-1)
