"""Which paragraph (or sentence) each response token belongs to, decided on token bytes.

Decoded text is never re-tokenised: byte-level BPE splits characters over tokens, ``.\\n\\n`` is often one token, and
two ``\\n`` tokens can meet.  A delimiter belongs to the segment it closes, and a run of blank lines closes one segment
only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Granularity = Literal["paragraph", "sentence", "token"]
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)

# A sentence ends with its punctuation (and closing quotes or brackets) before white space, with a full-width mark,
# after which no space is written, or with its line.
_CLOSING = rb"(?:[\"')\]}]|\xe2\x80\x9d|\xe2\x80\x99|\xe3\x80\x8d|\xe3\x80\x8f|\xef\xbc\x89)*"
_FULL_WIDTH = rb"(?:\xe3\x80\x82|\xef\xbc\x81|\xef\xbc\x9f)"
_SENTENCE_END = re.compile(
    rb"(?:[.!?]+"
    + _CLOSING
    + rb"(?=\s)|"
    + _FULL_WIDTH
    + rb"(?:[.!?]|"
    + _FULL_WIDTH
    + rb")*"
    + _CLOSING
    + rb"|(?=\n))\s*"
)

# What a token's bytes say about blank lines, as bits of one byte.
_HEAD, _TAIL = 1, 2  # begins with, ends with a newline
_BLANK_BEFORE = 4  # a blank line before its first byte that is not white space
_BLANK_AFTER = 8  # a blank line after that byte
_WHITE, _EMPTY = 16, 32  # has nothing but white space; has no bytes at all


def segment_response(
    token_ids: Sequence[int] | Tensor | NDArray[np.int64], tokenizer, granularity: Granularity = "paragraph"
) -> Tensor:
    """Segment index of every response token, 0, 1, 2, ... without gaps (the S_j of equation 14).

    A token belongs to the segment of its first byte that is not white space, because BPE glues a space to the word
    after it: `` Two`` opens the second sentence of ``One. Two``.  A token of white space alone, and a special token
    (which has no text), belongs to the segment before it.

    Args:
        token_ids: ``(T,)`` response tokens.
        tokenizer: a Hugging Face byte-level BPE tokenizer.
        granularity: ``paragraph`` (the paper's: ends with a blank line), ``sentence`` or ``token``.

    Returns:
        ``(T,)`` int64.

    Raises:
        ValueError: unknown granularity, a negative id, or ids that are not one-dimensional.
    """
    ids = torch.as_tensor(token_ids, dtype=torch.long)
    return packed_segments(ids, torch.tensor([0, ids.numel()]), tokenizer, granularity)


def packed_segments(token_ids: Tensor, offsets: Tensor, tokenizer, granularity: Granularity = "paragraph") -> Tensor:
    """:func:`segment_response` for a packed batch of ``B`` responses.

    Args:
        token_ids: ``(S,)`` of all responses, concatenated.
        offsets: ``(B + 1,)`` int64, where each response starts; the last entry is ``S``.
        tokenizer, granularity: as there.

    Returns:
        ``(S,)`` int64, starting at 0 in each response.

    Raises:
        ValueError: as there.
    """
    if granularity not in GRANULARITIES:
        raise ValueError(f"unknown granularity {granularity!r}; choose one of {', '.join(GRANULARITIES)}")
    first, last = int(offsets[0]), int(offsets[-1])
    if token_ids.ndim != 1 or first != 0 or len(token_ids) != last:
        raise ValueError(f"token ids {tuple(token_ids.shape)} do not fit offsets from {first} to {last}")
    ids, starts = token_ids.cpu().numpy(), offsets.cpu().numpy()
    if len(ids) and ids.min() < 0:
        raise ValueError(f"token id {ids.min()} is negative")
    if granularity == "token":
        segments = np.arange(len(ids)) - np.repeat(starts[:-1], np.diff(starts))
    elif granularity == "paragraph":
        segments = _paragraphs(ids, starts, tokenizer)
    else:
        parts = [_sentences(ids[start:end], tokenizer) for start, end in pairwise(starts)]
        segments = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
    return torch.from_numpy(segments).to(token_ids.device)


def _paragraphs(ids: NDArray[np.int64], starts: NDArray[np.int64], tokenizer) -> NDArray[np.int64]:
    """A paragraph opens at text with a blank line before it and text before that.

    Few tokens carry a newline, so all but the look-up of their flags works on those alone.
    """
    table = _blank_lines(tokenizer)
    if len(ids) and ids.max() >= len(table):
        ids = np.minimum(ids, len(table) - 1)  # ids beyond the vocabulary share its last, empty row
    flags = table.take(ids)
    special = np.flatnonzero(flags & (255 - _WHITE))  # carries a newline, or is empty
    kept = np.flatnonzero(flags[special] & _EMPTY == 0)
    at = special[kept]
    newline = flags[at]
    # Two newlines that meet at the border of two tokens are a blank line too, whatever empty tokens stand between.
    meet = (newline[:-1] & _TAIL != 0) & (newline[1:] & _HEAD != 0) & (np.diff(at) == np.diff(kept))
    before = newline & _BLANK_BEFORE != 0
    before[1:] |= meet
    opens = np.zeros(len(ids) + 1, dtype=bool)  # one place more: for blank lines with no text after them
    opens[_next_text(flags, np.concatenate([at[before], at[newline & _BLANK_AFTER != 0] + 1]))] = True
    # The first text of a response opens nothing, be the blank line its own or the last of the response before.
    opens[_next_text(flags, starts[:-1])] = False
    begins = np.zeros(len(ids) + 1, dtype=bool)
    begins[starts] = True
    edges = np.flatnonzero(opens | begins)
    number = np.arange(len(edges))
    in_response = number - np.maximum.accumulate(np.where(begins[edges], number, 0))
    return np.repeat(in_response[:-1], np.diff(edges))


def _next_text(flags: NDArray[np.uint8], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first token with text at or after each position; the number of tokens where there is none."""
    found = positions.copy()
    open_ends = np.arange(len(found))
    while len(open_ends):
        open_ends = open_ends[found[open_ends] < len(flags)]
        open_ends = open_ends[flags[found[open_ends]] & (_WHITE | _EMPTY) != 0]
        found[open_ends] += 1
    return found


@lru_cache(maxsize=8)
def _blank_lines(tokenizer) -> NDArray[np.uint8]:
    """Flags of every token id, and one row more for ids without bytes."""
    table = np.zeros(len(token_bytes(tokenizer)) + 1, dtype=np.uint8)
    for i, piece in enumerate((*token_bytes(tokenizer), b"")):
        leading = piece[: len(piece) - len(piece.lstrip())]
        rest = piece[len(leading) :]
        table[i] = (
            _HEAD * piece.startswith(b"\n")
            | _TAIL * piece.endswith(b"\n")
            | _BLANK_BEFORE * (b"\n\n" in leading)
            | _BLANK_AFTER * (b"\n\n" in rest)
            | _WHITE * (not rest)
            | _EMPTY * (not piece)
        )
    return table


def _sentences(ids: NDArray[np.int64], tokenizer) -> NDArray[np.int64]:
    table = token_bytes(tokenizer)
    pieces = [table[i] if i < len(table) else b"" for i in ids.tolist()]
    text = b"".join(pieces)
    # A delimiter at the very start closes nothing, one at the very end opens nothing.
    first, last = len(text) - len(text.lstrip()), len(text)
    ends = (match.end() for match in _SENTENCE_END.finditer(text))
    cuts = np.asarray([end for end in ends if first < end < last], dtype=np.int64)
    starts = np.cumsum([0] + [len(piece) for piece in pieces])[:-1]
    is_text = np.asarray([bool(piece.strip()) for piece in pieces], dtype=bool)
    starts += np.asarray([len(piece) - len(piece.lstrip()) for piece in pieces], dtype=np.int64)
    segment = np.searchsorted(cuts, starts, side="right")
    # White space and special tokens go with the text before them.
    segment = np.maximum.accumulate(np.where(is_text, segment, 0)) if len(segment) else segment
    return np.unique(segment, return_inverse=True)[1].astype(np.int64)


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
