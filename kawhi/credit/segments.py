"""Which paragraph (or sentence) each response token belongs to, decided on token bytes.

Decoded text is never re-tokenised: tokenizers split characters over tokens, ``.\n\n`` is often one token, and
two ``\n`` tokens can meet.  A delimiter belongs to the segment that it closes, and so do the blank lines and the rules
of dashes after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kawhi.credit.options import check_choice

Granularity = Literal["paragraph", "sentence", "token"]
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)


# White space is what Unicode calls so (str.isspace adds \x1c to \x1f), and two without width.  Only \n ends a line.
_WHITE = "".join(c for c in map(chr, range(0x3001)) if c.isspace() and not "\x1c" <= c < " ") + "\u200b\ufeff"
_ODD_WHITE = re.compile("|".join(set(_WHITE) - {" ", "\n"}).encode())
_DASHES = "-*=_–—─━═"
_RULE = re.compile(rf"\n *+({'|'.join(map(re.escape, _DASHES))})(?: *+\1){{2,}}+ *+(?=\n)".encode())

_SPACE = re.compile(rb"\s*")
_PARAGRAPH_END = re.compile(rb"\n *\n\s*")
# A sentence ends with its punctuation (and closing quotes or brackets) before white space, with a full-width mark,
# after which no space is written, or with its line.
_CLOSING = r"""(?:["')\]}]|”|’|」|』|）)*"""
_FULL_WIDTH = "(?:。|！|？)"
_SENTENCE_END = re.compile(
    rf"(?:(?<![.!?])[.!?]++{_CLOSING}(?=\s)|{_FULL_WIDTH}(?:[.!?]|{_FULL_WIDTH})*{_CLOSING}|(?=\n))\s*".encode()
)

SPACE = "\u2581"
"""How SentencePiece writes a space."""
_BYTE_TOKEN = re.compile("<0x([0-9A-Fa-f]{2})>")

# What a token by itself says about paragraphs: nothing, as it has text and ends no line; not much, or how many lines it
# ends; that a paragraph ends with it, if text is on either side.
_PLAIN, _ODD, _LINE_END, _LINE_ENDS, _BORDER = range(5)


def segment_response(
    token_ids: Sequence[int] | Tensor | NDArray[np.int64], tokenizer, granularity: Granularity = "paragraph"
) -> Tensor:
    """Segment index of every response token, 0, 1, 2, ... without gaps (the S_j of equation 14).

    A token belongs to the segment of its first byte that is not white space, because BPE glues a space to the word
    after it: `` Two`` opens the second sentence of ``One. Two``.  A token without such a byte (white space, a special
    token) belongs to the segment before it.  A rule of dashes counts as white space, but makes no line blank.

    Args:
        token_ids: ``(T,)`` response tokens.
        tokenizer: a Hugging Face tokenizer, byte-level BPE or SentencePiece.
        granularity: ``paragraph`` (the paper's: ends with a blank line), ``sentence`` or ``token``.

    Returns:
        ``(T,)`` int64.

    Raises:
        ValueError: unknown granularity, a negative id, ids that are not one-dimensional, or another kind of tokenizer.
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
    check_choice("granularity", granularity, Granularity)
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


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a text, as :func:`segment_response` cuts its tokens; joined they are the text."""
    written = b"\n" + text.encode() + b"\n"
    tidy = _tidy(written)
    first, last = _text_from(tidy, 0), len(tidy)
    cuts = [found.end() for found in _PARAGRAPH_END.finditer(tidy, first) if found.end() < last]
    return [written[begin:end].decode() for begin, end in pairwise([1, *cuts, last - 1])]


def _openings(ids: NDArray[np.int64], starts: NDArray[np.int64], tokenizer, granularity: str) -> NDArray[np.int64]:
    """The tokens that open a segment, but for the first one of each response; in no order."""
    pieces, sizes, kinds = _vocabulary(tokenizer)
    ids = np.minimum(ids, len(pieces) - 2)  # ids beyond the vocabulary have no bytes
    if granularity == "paragraph":
        end, (read, opened) = _PARAGRAPH_END, _worth_reading(kinds.take(ids), starts)
    else:
        end, read, opened = _SENTENCE_END, np.arange(len(ids)), np.zeros(0, dtype=np.int64)
    # A newline before each response and behind the last one, so that the lines of two never meet.
    places = np.searchsorted(read, starts)
    rows = np.insert(ids[read], places, len(pieces) - 1)
    tokens = np.insert(np.append(read, len(ids)), places, starts)
    text, ends = _tidy(b"".join([pieces[row] for row in rows.tolist()])), np.cumsum(sizes[rows])

    cuts = [found.end() for found in end.finditer(text)]
    opened = np.concatenate([opened, tokens[_holders(text, ends, cuts)]])
    newlines = ends[places + np.arange(len(places))] - 1
    texts = [_text_from(text, newline) for newline in newlines.tolist()]  # where those of the responses begin
    first = tokens[np.searchsorted(ends, texts, side="right")]
    return opened[opened > first[np.searchsorted(starts, opened, side="right") - 1]]


def _worth_reading(kinds: NDArray[np.uint8], starts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The few tokens whose text decides where paragraphs end, in order, and those that open one for sure.

    A paragraph ends among tokens that are not plain, and needs two line ends.
    """
    begins, read = np.zeros((2, len(kinds) + 1), dtype=bool)
    begins[starts] = True
    odd = np.flatnonzero(kinds)
    heads = np.flatnonzero((np.diff(odd, prepend=-2) != 1) | begins[odd])  # of runs of such tokens in one response
    lengths = np.diff(heads, append=len(odd))
    sure = (lengths == 1) & (kinds[odd[heads]] == _BORDER)
    line_ends = np.add.reduceat(kinds[odd] - _ODD, heads, dtype=np.int64)
    read[odd[np.repeat(~sure & (line_ends > 1) | begins[odd[heads]], lengths)]] = True
    # With them the token behind, which says that text follows, and the first of a response, that there was some.
    read |= np.roll(read, 1) | begins
    return np.flatnonzero(read[:-1]), odd[heads[sure]] + 1


def _tidy(text: bytes) -> bytes:
    """The text with spaces for what is white within a line, and tabs for a rule; no byte moves."""
    text = _ODD_WHITE.sub(lambda found: b" " * len(found[0]), text)
    return _RULE.sub(lambda found: b"\n" + b"\t" * (len(found[0]) - 1), text)


def _text_from(text: bytes, at: int) -> int:
    """Where white space that may be at a position has an end."""
    return next(_SPACE.finditer(text, at)).end()


def _holders(text: bytes, ends: NDArray[np.int64], cuts: list[int]) -> NDArray[np.int64]:
    """For each cut the token that holds its byte, or the next one with text if that has text before it, too."""
    found = np.searchsorted(ends, cuts, side="right")
    begins = np.concatenate([[0], ends])[found]
    for i in np.flatnonzero(begins < cuts).tolist():
        if not text[begins[i] : cuts[i]].isspace():
            found[i] = np.searchsorted(ends, _text_from(text, ends[found[i]]), side="right")
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
def _vocabulary(tokenizer) -> tuple[tuple[bytes, ...], NDArray[np.int64], NDArray[np.uint8]]:
    """Bytes, their number and the kind of every token id, of ids beyond them, and of a newline."""
    pieces = (*token_bytes(tokenizer), b"", b"\n")
    return pieces, np.array([len(piece) for piece in pieces]), np.array([_kind(piece) for piece in pieces], np.uint8)


def _kind(piece: bytes) -> int:
    line_ends = piece.count(b"\n")
    try:
        has_text = piece.decode().strip(_WHITE + _DASHES)
    except UnicodeDecodeError:  # half a character, which may be white space
        return _ODD + min(line_ends, 2)
    if has_text and not line_ends:
        return _PLAIN
    cuts = [found.end() for found in _PARAGRAPH_END.finditer(_tidy(b"x" + piece + b"x"))]
    return _BORDER if cuts == [len(piece) + 1] else _ODD + min(line_ends, 2)


@lru_cache(maxsize=8)
def token_bytes(tokenizer) -> tuple[bytes, ...]:
    """Bytes of every token id of a byte-level BPE or a SentencePiece tokenizer; special tokens have none.

    Raises:
        ValueError: a tokenizer of another kind.
    """
    special = set(tokenizer.all_special_ids)
    added = {index: token.content for index, token in tokenizer.added_tokens_decoder.items()}
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    others = special | added.keys()
    ordinary = (token for index, token in enumerate(tokens) if token is not None and index not in others)
    spelled = _spelling(set("".join(ordinary)), type(tokenizer).__name__)
    table = []
    for index, token in enumerate(tokens):
        if token is None or index in special:
            table.append(b"")
        elif index in added:
            table.append(_byte(added[index]) or added[index].encode())
        else:
            table.append(spelled(token))
    return tuple(table)


def _spelling(characters: set[str], name: str) -> Callable[[str], bytes]:
    """How tokens that are written with these characters spell bytes."""
    if SPACE in characters:
        return lambda token: _byte(token) or token.replace(SPACE, " ").encode()
    decoder = {char: byte for byte, char in _byte_to_unicode().items()}
    if _byte_to_unicode()[ord(" ")] not in characters or characters - decoder.keys():
        raise ValueError(
            f"{name} is neither a byte-level BPE nor a SentencePiece tokenizer: paragraphs are cut on the bytes of "
            "tokens, and what bytes its tokens have is not known"
        )
    return lambda token: bytes([decoder[char] for char in token])


def _byte(token: str) -> bytes | None:
    """The byte of a token like ``<0x0A>``, with which SentencePiece writes what its vocabulary does not have."""
    found = _BYTE_TOKEN.fullmatch(token)
    return bytes([int(found[1], 16)]) if found else None


def _byte_to_unicode() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte: printable Latin-1 stands for itself, the rest is moved above 255."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
