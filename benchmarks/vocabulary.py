"""A vocabulary of Qwen2.5's size without its files: what segmentation asks of a tokenizer, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

SIZE = 151_936
SENTENCE, PARAGRAPH, END = range(3)  # tokens that close one; Ċ stands for a newline and Ġ for a space
_CLOSING = (".", ".ĊĊ", "<|im_end|>")


class Vocabulary:
    """Stands for a byte-level BPE tokenizer of the transformers library."""

    all_special_ids = (END,)
    added_tokens_decoder: ClassVar[Mapping] = MappingProxyType({})

    def __len__(self) -> int:
        return SIZE

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [_CLOSING[i] if i < len(_CLOSING) else f"Ġword{i}" for i in ids]


def responses(count: int, tokens: int, paragraphs: int) -> Tensor:
    """``(count * tokens,)`` words from the whole vocabulary, a full stop after every twelfth or so.

    Each response has as many paragraphs, of random lengths, and ends with a special token.
    """
    random = np.random.default_rng(0)
    ids = random.integers(len(_CLOSING), SIZE, (count, tokens))
    ids[random.random(ids.shape) < 1 / 12] = SENTENCE
    places = np.arange(1, tokens - 2, 2)  # never side by side, where two would close one paragraph only
    for row in ids:
        row[random.choice(places, paragraphs - 1, replace=False)] = PARAGRAPH
    ids[:, -1] = END
    return torch.from_numpy(ids.ravel())
