"""Which paragraph (or sentence) each response token belongs to, decided on token bytes.

Decoded text is never re-tokenised: byte-level BPE splits characters over tokens, ``.\\n\\n`` is often one token, and
two ``\\n`` tokens can meet.  A delimiter belongs to the segment it closes, and a run of blank lines closes one segment
only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

Granularity = Literal["paragraph", "sentence", "token"]
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)

_DELIMITER = {
    "paragraph": re.compile(rb"\n\n\s*"),
    # A sentence ends with its punctuation (and closing quotes or brackets) before white space, or with its line.
    "sentence": re.compile(rb"(?:(?:[.!?]|\xe3\x80\x82|\xef\xbc\x81|\xef\xbc\x9f)+[\"')\]}]*(?=\s)|(?=\n))\s+"),
}


def segment_response(token_ids: Sequence[int] | Tensor, tokenizer, granularity: Granularity = "paragraph") -> Tensor:
    """Segment index of every response token, 0, 1, 2, ... without gaps.

    A token belongs to the segment of its first byte that is not white space, because BPE glues a space to the word
    after it: `` Two`` opens the second sentence of ``One. Two``.  A token of white space alone goes by its first byte,
    and special tokens (which have no text) belong to the segment they stand in.

    Args:
        token_ids: ``(T,)`` response tokens.
        tokenizer: a Hugging Face byte-level BPE tokenizer.

    Returns:
        ``(T,)`` int64.

    Raises:
        ValueError: unknown granularity.
    """
    if granularity not in GRANULARITIES:
        raise ValueError(f"unknown granularity {granularity!r}; choose one of {', '.join(GRANULARITIES)}")
    ids = [int(i) for i in token_ids]
    if granularity == "token":
        return torch.arange(len(ids))
    table = token_bytes(tokenizer)
    pieces = [table[i] if i < len(table) else b"" for i in ids]
    starts = np.cumsum([0] + [len(piece) for piece in pieces])[:-1]
    starts += np.asarray([len(piece) - len(piece.lstrip()) if piece.strip() else 0 for piece in pieces], dtype=np.int64)
    text = b"".join(pieces)
    # A delimiter at the very start closes nothing, one at the very end opens nothing.
    found = _DELIMITER[granularity].finditer(text)
    cuts = [m.end() for m in found if text[: m.start()].strip() and m.end() < len(text)]
    segment = np.searchsorted(np.asarray(cuts, dtype=np.int64), starts, side="right")
    return torch.from_numpy(np.unique(segment, return_inverse=True)[1].astype(np.int64))


@lru_cache(maxsize=8)
def token_bytes(tokenizer) -> tuple[bytes, ...]:
    """Bytes of every token id of a byte-level BPE tokenizer; special tokens have none."""
    decoder = {char: byte for byte, char in _byte_to_unicode().items()}
    special = set(tokenizer.all_special_ids)
    added = {index: token.content for index, token in tokenizer.added_tokens_decoder.items()}
    table = []
    for index, token in enumerate(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))):
        if token is None or index in special:
            table.append(b"")
        elif index in added:
            table.append(added[index].encode())
        else:
            table.append(bytes(decoder[char] for char in token))
    return tuple(table)


def _byte_to_unicode() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte: printable Latin-1 stands for itself, the rest is moved above 255."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
