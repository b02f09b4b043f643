"""Which paragraph (or sentence) each response token belongs to, decided on token bytes.

Decoded text is never re-tokenised: byte-level BPE splits characters over tokens, ``.\n\n`` is often one token, and
two ``\n`` tokens can meet.  A delimiter belongs to the segment that it closes, and so do the blank lines and the rules
of dashes after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Granularity = Literal["paragraph", "sentence", "token"]
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)


# White space is what Unicode calls so, and two characters without width.  Only a newline ends a line.
_WHITE = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\ufeff"
_ODD_WHITE = re.compile("|".join(sorted(set(_WHITE) - set(" \n"))).encode())
_DASHES = "-*=_–—─━═"
_RULE = re.compile(rb"\n *+([-*=_]|%b)(?: *+\1){2,}+ *+(?=\n)" % "|".join(_DASHES[4:]).encode())

_PARAGRAPH_END = re.compile(rb"\n *\n\s*")
# A sentence ends with its punctuation (and closing quotes or brackets) before white space, with a full-width mark,
# after which no space is written, or with its line.
_CLOSING = "(?:[\"')\\]}]|”|’|」|』|）)*".encode()
_FULL_WIDTH = "(?:。|！|？)".encode()
_SENTENCE_END = re.compile(
    rb"(?:(?<![.!?])[.!?]++"
    + _CLOSING
    + rb"(?=\s)|"
    + _FULL_WIDTH
    + rb"(?:[.!?]|"
    + _FULL_WIDTH
    + rb")*"
    + _CLOSING
    + rb"|(?=\n))\s*"
)
_SPACE = re.compile(rb"\s*")

# What a token says about paragraphs: nothing; nothing between two such; a border behind it between two such; or that
# it has to be read with its neighbours.
_PLAIN, _WITHIN, _BORDER, _UNCLEAR = range(4)


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
    else:
        segments = _numbered(_openings(ids, starts, tokenizer, granularity), starts)
    return torch.from_numpy(segments).to(token_ids.device)


def _openings(ids: NDArray[np.int64], starts: NDArray[np.int64], tokenizer, granularity: str) -> NDArray[np.int64]:
    """The tokens that open a segment, but for the first of a response; in no order."""
    pieces = (*token_bytes(tokenizer), b"", b"\n")
    ids = np.minimum(ids, len(pieces) - 2)  # ids beyond the vocabulary have no bytes
    if granularity == "paragraph":
        end, (read, opened) = _PARAGRAPH_END, _worth_reading(_kinds(tokenizer).take(ids), starts)
    else:
        end, read, opened = _SENTENCE_END, np.arange(len(ids)), np.zeros(0, dtype=np.int64)
    # Each response stands between two newlines, so that the lines of two never meet.
    places = np.searchsorted(read, starts)
    rows = np.insert(ids[read], places, len(pieces) - 1).tolist()
    tokens = np.insert(np.append(read, len(ids)), places, starts)
    text, ends = _tidy(b"".join([pieces[row] for row in rows])), np.cumsum([len(pieces[row]) for row in rows])

    borders = ends[places + np.arange(len(places))] - 1
    begins = [_SPACE.match(text, border).end() for border in borders.tolist()]
    first = tokens[np.searchsorted(ends, begins, side="right")]
    cuts = [found.end() for found in end.finditer(text)]
    opened = np.concatenate([opened, tokens[_holders(text, ends, cuts)]])
    return opened[opened > first[np.searchsorted(starts, opened, side="right") - 1]]


def _tidy(text: bytes) -> bytes:
    """The text with spaces for what is white within a line, and tabs for a rule; no byte moves."""
    text = _ODD_WHITE.sub(lambda found: b" " * len(found[0]), text)
    return _RULE.sub(lambda found: b"\n" + b"\t" * (len(found[0]) - 1), text)


def _worth_reading(kinds: NDArray[np.uint8], starts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The few tokens whose text decides where paragraphs end, in order, and those that open one without reading."""
    plain = np.append(kinds == _PLAIN, False)
    after_plain = np.roll(plain, 1)
    after_plain[starts] = False
    alone = after_plain & ~plain & np.roll(plain, -1) & (np.append(kinds, _UNCLEAR) != _UNCLEAR)
    unclear = ~plain & ~alone
    unclear[-1] = False
    # The token behind them says that text follows, the first of a response that text came before.
    read = unclear | np.roll(unclear, 1)
    read[starts] = True
    read[-1] = False
    return np.flatnonzero(read), np.flatnonzero(alone[:-1] & (kinds == _BORDER)) + 1


def _holders(text: bytes, ends: NDArray[np.int64], cuts: list[int]) -> NDArray[np.int64]:
    """Which token of a text holds each byte, given where tokens end; the next one if this has text before the byte."""
    found = np.searchsorted(ends, cuts, side="right")
    begins = np.concatenate([[0], ends])[found]
    for i in np.flatnonzero(begins < cuts).tolist():
        if not text[begins[i] : cuts[i]].isspace():
            found[i] = np.searchsorted(ends, _SPACE.match(text, ends[found[i]]).end(), side="right")
    return found


def _numbered(opened: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Segment of every token, given those that open one and where responses start."""
    opens, begins = np.zeros((2, int(starts[-1]) + 1), dtype=bool)
    opens[opened] = begins[starts] = True
    edges = np.flatnonzero(opens | begins)
    number = np.arange(len(edges))
    in_response = number - np.maximum.accumulate(np.where(begins[edges], number, 0))
    return np.repeat(in_response[:-1], np.diff(edges))


@lru_cache(maxsize=8)
def _kinds(tokenizer) -> NDArray[np.uint8]:
    """What every token id says about paragraphs, and one id beyond them."""
    return np.array([_kind(piece) for piece in (*token_bytes(tokenizer), b"")], dtype=np.uint8)


def _kind(piece: bytes) -> int:
    try:
        text = piece.decode()
    except UnicodeDecodeError:  # a part of a character that may be white space
        return _UNCLEAR
    if "\n" not in text and text.strip(_WHITE + _DASHES):
        return _PLAIN
    cuts = [found.end() for found in _PARAGRAPH_END.finditer(_tidy(b"x" + piece + b"x"))]
    return {(): _WITHIN, (len(piece) + 1,): _BORDER}.get(tuple(cuts), _UNCLEAR)


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
