"""One image, one question, one response: what a layer of a model compares, outside any trainer.

``kawhi explain`` and the grounding controls are made with it.  Its hooks and equations are those
of training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForImageTextToText, AutoProcessor

from kawhi.credit.alignment import AlignmentOptions, Layer, Statistic, attends
from kawhi.credit.statistics import Vectors, attention_shares, packed_head_statistic
from kawhi.models.attention_capture import AttentionCapture
from kawhi.models.vision_attention import VisionAttentionCapture
from kawhi.pictures.rgb import picture


@dataclass(frozen=True)
class Look:
    """A response seen by a model together with an image.

    Attributes:
        queries: ``(T, H_q, d)`` of the response tokens, or their keys ``(T, H_k, d)`` for ``key_key``.
        every_key: ``(S, H_k, d)`` of all tokens, prompt and response.
        asking: ``(T,)`` where in the sequence the queries are.
        visual: ``(N,)`` where the visual tokens are, row-major on their grid.
        log_probs: ``(T,)`` of the response tokens.
        received: ``(N,)`` attention that each visual token receives in the vision encoder.
        options: which vectors these are.
        query_heads: ``H_q``.
    """

    queries: Tensor
    every_key: Tensor
    asking: Tensor
    visual: Tensor
    log_probs: Tensor
    received: Tensor
    options: AlignmentOptions
    query_heads: int

    @property
    def keys(self) -> Tensor:
        """``(N, H_k, d)`` of all visual tokens."""
        return self.every_key[self.visual]

    @property
    def heads(self) -> list[int]:
        """The query heads that alpha is averaged over."""
        return list(range(self.query_heads)) if self.options.heads is None else list(self.options.heads)

    def head_alpha(self, selected: Sequence[int] | NDArray[np.int64] | Tensor) -> Tensor:
        """``(T, len(heads))`` what each head makes of the selected visual tokens, before the mean over heads."""
        own = self.options
        wanted = self.visual[torch.as_tensor(selected, dtype=torch.long)]
        chosen = None
        if attends(own.statistic):
            rows = torch.arange(len(self.every_key))
            wanted, chosen = rows, torch.isin(rows, wanted)
        return packed_head_statistic(
            own.statistic,
            self._asked(),
            _alone(self.every_key[wanted], wanted),
            1,
            own.heads,
            selected=chosen,
            metric=own.metric,
            query_heads=self.query_heads,
        )

    def alpha(self, selected: Sequence[int] | NDArray[np.int64] | Tensor) -> Tensor:
        """``(T,)`` alpha of equation 13, or of another statistic."""
        return self.head_alpha(selected).mean(dim=1)

    def making(self, statistic: Statistic) -> Look:
        """The same vectors, of which alpha is made otherwise."""
        return replace(self, options=replace(self.options, statistic=statistic))

    def attention(self) -> Tensor:
        """``(H_q, T, N)`` of the model's own attention, the part that falls on each visual token."""
        every = _alone(self.every_key, torch.arange(len(self.every_key)))
        return attention_shares(self._asked(), every)[..., self.visual]

    def similarity(self) -> Tensor:
        """``(T, N)`` where each token looks, averaged over heads.  For pictures, not for training.

        The cosines of equation 12, or the attention where alpha is made of it.
        """
        if attends(self.options.statistic):
            return self.attention()[self.heads].mean(dim=0)
        total = torch.zeros(len(self.queries), len(self.keys))
        for head in self.heads:
            asking = self.queries[:, head // (self.query_heads // self.queries.shape[1])]
            keys = self.keys[:, head // (self.query_heads // self.keys.shape[1])]
            total += F.normalize(asking, dim=-1) @ F.normalize(keys, dim=-1).T
        return total / len(self.heads)

    def _asked(self) -> Vectors:
        return _alone(self.queries, self.asking)


def _alone(states: Tensor, position: Tensor) -> Vectors:
    """Vectors of a pack of one sequence."""
    return Vectors(states, torch.zeros_like(position), position)


class Inspector:
    """A Qwen2.5-VL or Qwen3-VL checkpoint with its processor, for one image at a time.

    Args:
        path: local folder or hub id.
        options: which vectors alignment compares.
        device: where the model runs; everything returned is on the CPU.
        dtype: of the model.
    """

    def __init__(
        self,
        path: str,
        options: AlignmentOptions | None = None,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        self.options = options or AlignmentOptions()
        self.device = device
        model: Any = AutoModelForImageTextToText.from_pretrained(path, dtype=dtype, attn_implementation="sdpa")
        self.model = model.to(device).eval()
        self.processor: Any = AutoProcessor.from_pretrained(path)
        self.tokenizer = self.processor.tokenizer
        self._language: dict[Layer, AttentionCapture] = {}
        self._capture(self.options.layer)
        self._vision = VisionAttentionCapture(self.model)

    @property
    def layers(self) -> int:
        """Decoder layers of the language model."""
        return len(self.model.model.language_model.layers)

    @property
    def token_pixels(self) -> int:
        """Side in pixels of the area that one visual token covers."""
        images = self.processor.image_processor
        return images.patch_size * images.merge_size

    def prompt(self, image: Image.Image, question: str) -> dict[str, Tensor]:
        """Model inputs of the chat prompt that training and evaluation use: the image, then the question."""
        content = [{"type": "image"}, {"type": "text", "text": question}]
        text = self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        features = self.processor(images=[picture(image)], text=[text], return_tensors="pt")
        return {name: value.to(self.device) for name, value in features.items()}

    @torch.no_grad()
    def respond(self, prompt: dict[str, Tensor], *, max_new_tokens: int, seed: int | None = None) -> Tensor:
        """``(T,)`` response tokens, the end token included; greedy, or sampled at temperature 1 under a seed."""
        if seed is None:
            sampling: dict[str, Any] = {"do_sample": False}
        else:
            torch.manual_seed(seed)
            sampling = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}
        ids = self.model.generate(**prompt, **sampling, max_new_tokens=max_new_tokens)
        return ids[0, prompt["input_ids"].shape[1] :].cpu()

    def look(self, prompt: dict[str, Tensor], response: Sequence[int] | Tensor) -> Look:
        """One forward pass over prompt and response.

        Raises:
            ValueError: an empty response.
        """
        return self.looks(prompt, response, [self.options.layer])[self.options.layer]

    @torch.no_grad()
    def looks(
        self, prompt: dict[str, Tensor], response: Sequence[int] | Tensor, layers: Iterable[Layer]
    ) -> dict[Layer, Look]:
        """The same pass, seen in several layers.

        Raises:
            ValueError: an empty response, a layer or a head that the model does not have, or attention of a layer that
                sees a window alone.
        """
        answer = torch.as_tensor(response, dtype=torch.long, device=self.device)
        if len(answer) == 0:
            raise ValueError("the response is empty: there is nothing to look at")
        ids = torch.cat([prompt["input_ids"][0], answer])
        start = prompt["input_ids"].shape[1]
        visual = torch.nonzero(ids[:start] == self.model.config.image_token_id)[:, 0]
        inputs = {
            **prompt,
            "input_ids": ids[None],
            "attention_mask": torch.ones_like(ids)[None],
            "mm_token_type_ids": (ids == self.model.config.image_token_id).int()[None],
        }
        captures = {layer: self._capture(layer) for layer in layers}
        for layer, one in captures.items():
            one.require(replace(self.options, layer=layer))
        for capture in (*captures.values(), self._vision):
            capture.arm()
        logits = self.model(**inputs, logits_to_keep=len(answer) + 1).logits[0, :-1].float()
        asking = torch.arange(start, len(ids), device=self.device)
        if self.options.query_position == "predicting":
            asking = asking - 1
        log_probs = logits.log_softmax(dim=-1).gather(1, answer[:, None])[:, 0].cpu()
        received = torch.cat(self._vision.take()).cpu()
        found = {}
        for layer, capture in captures.items():
            every = torch.arange(len(ids), device=self.device)
            taken = capture.take(asking, every, metric=self.options.metric, rope=self.options.rope)
            found[layer] = Look(
                taken.queries.cpu(),
                taken.keys.cpu(),
                asking.cpu(),
                visual.cpu(),
                log_probs,
                received,
                replace(self.options, layer=layer),
                capture.query_heads,
            )
        return found

    def _capture(self, layer: Layer) -> AttentionCapture:
        """The hooks of a layer, put there once.

        Raises:
            ValueError: a layer that the model does not have.
        """
        if layer not in self._language:
            self._language[layer] = AttentionCapture(self.model, layer)
        return self._language[layer]
