"""The segmentation against the one that reads the whole decoded text, also of tokens that nobody would put in a row."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kawhi.credit.segments import (
    GRANULARITIES,
    _byte_to_unicode,
    packed_segments,
    paragraphs,
    segment_response,
    token_bytes,
)
from tests.credit.tokens import encode, parts, single_bytes
from tests.reference import segments as literally

# White space of every kind, blank lines inside, before, after and across tokens, rules, marks and closers, split
# characters.
PIECES = tuple(
    piece.encode("latin-1")
    for piece in (
        *("", "\n", "\n\n", " \n", "\n ", "\n \n", "\n\n ", " ", "\t", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\xa0"),
        *("\xc2", "\xc2\xa0", "\n\xc2", "\xa0\n", "\xa0x", "\xe3\x80\x80", "\n\xe3\x80\x80"),  # no-break, ideographic
        *("a", " a", "a ", "a\n", "\na", "a\n\n", "\n\na", "\n\n a\n", "a\n\nb", "a\n\nb\n\nc", "a\nb", "a \n\n\n b\n"),
        *("-", "--", " -", "---", "---\n", "\n---\n\n", "***\n\n", "*", "=", "-a", "a---\n", "\xe2\x80\x94", "\x94"),
        *(".", ". ", " .", ".\n", ".\n\n", "?!", "b.", '"', ")", '."', "3.5"),
        *("\xe3\x80\x82", "\xef\xbc\x81", "\xe3\x80\x8d", "\xe2\x80\x9d"),  # 。！」”
        *("\xe3", "\x80", "\x82", "\xe3\x80", "\x80\x82x", "\xe2\x80", "\x9d", "\n\xe3", "\xe3\x80\x82\xe5"),
    )
)
MATTER = (b"", b"\n", b"\n\n", b" ", b"a", b"a\n", b"\na", b"a\n\nb", b"---", b"-", b".", b'"')
WHITE = ["", " ", "\t", "\r", "\xa0", "\u3000", "\u200b", "\n"]
# Texts that are dense in delimiters.
WORDS = ["\n", "\n\n", "\n \n", "\r\n", " ", "\u3000", "\t", ".", ". ", "3.5", "So x", "é", "图", "龘", "。", "?", '"']
WORDS += ["---", "-", "***\n", "\n- - -\n", "——", "=", "<think>", "```\n", "\\["]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=25).map("".join)


class PieceTokenizer:
    """A byte-level tokenizer whose vocabulary is a list of byte strings."""

    all_special_ids = ()
    added_tokens_decoder = {}  # noqa: RUF012

    def __init__(self, pieces: tuple[bytes, ...]):
        self.pieces = pieces

    def __len__(self) -> int:
        return len(self.pieces)

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        letters = _byte_to_unicode()
        return ["".join(letters[byte] for byte in self.pieces[i]) for i in ids]


@pytest.fixture(scope="module")
def pieces():
    return PieceTokenizer(PIECES)


def soups(tokens: int, most: int = 12):
    """Batches of responses; some are empty, and every other one is made of few different tokens, so that they meet."""
    few = st.lists(st.integers(0, tokens - 1), min_size=1, max_size=4).flatmap(
        lambda some: st.lists(st.sampled_from(some), max_size=most)
    )
    return st.lists(few | st.lists(st.integers(0, tokens - 1), max_size=most), max_size=5)


def pack(batch: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([i for response in batch for i in response], dtype=torch.long)
    return ids, torch.tensor([0, *(len(response) for response in batch)]).cumsum(0)


def agrees(batch: list[list[int]], tokenizer, granularity: str) -> None:
    table = token_bytes(tokenizer)
    texts = [[table[i] if i < len(table) else b"" for i in response] for response in batch]
    expected = [segment for text in texts for segment in literally.segments(text, granularity)]
    assert packed_segments(*pack(batch), tokenizer, granularity).tolist() == expected


def test_the_pieces_are_the_tokenizers_bytes(pieces):
    assert token_bytes(pieces) == PIECES


@pytest.mark.parametrize("granularity", GRANULARITIES)
@given(batch=soups(len(PIECES) + 3))  # the last ids lie beyond the vocabulary
@settings(max_examples=300)
def test_a_soup_of_pieces(pieces, granularity, batch):
    agrees(batch, pieces, granularity)


@pytest.mark.parametrize("granularity", GRANULARITIES)
@given(batch=soups(500))  # 480 tokens, 8 of them special, and ids beyond the vocabulary
@settings(max_examples=60)
def test_a_soup_of_the_tiny_tokenizers_tokens(tokenizer, granularity, batch):
    agrees(batch, tokenizer, granularity)


@pytest.mark.parametrize("granularity", ["paragraph", "sentence"])
def test_every_row_of_three_pieces_that_matter(pieces, granularity):
    matter = [PIECES.index(piece) for piece in MATTER]
    agrees([[i, j, k] for i in matter for j in matter for k in matter], pieces, granularity)


@pytest.fixture(scope="module")
def telling(qwen_tokenizer):
    """Qwen's tokens with line ends, of white space, dashes and marks alone, or with half a character."""
    texts = [piece.decode(errors="ignore") for piece in token_bytes(qwen_tokenizer)]
    return [i for i, text in enumerate(texts) if "\n" in text or not text.strip("-*=_ .?!—")]


@pytest.mark.parametrize("granularity", ["paragraph", "sentence"])
@given(batch=soups(2500))
@settings(max_examples=150)
def test_a_soup_of_qwens_tokens(qwen_tokenizer, telling, granularity, batch):
    ids = [*telling, *range(1000, 1500)]  # and words
    agrees([[ids[i * len(ids) // 2500] for i in each] for each in batch], qwen_tokenizer, granularity)


@pytest.mark.parametrize("name", ["tokenizer", "qwen_tokenizer"])
@pytest.mark.parametrize("granularity", ["paragraph", "sentence"])
@given(texts=st.lists(TEXTS, max_size=4))
@settings(max_examples=100)
def test_texts(request, name, granularity, texts):
    tokenizer = request.getfixturevalue(name)
    batch = [encode(tokenizer, text) for text in texts]
    assert ["".join(parts(tokenizer, ids, granularity)) for ids in batch] == texts
    agrees(batch, tokenizer, granularity)


@given(text=TEXTS)
def test_the_paragraphs_of_a_text_are_those_of_its_bytes(tokenizer, text):
    assert paragraphs(text) == (parts(tokenizer, single_bytes(tokenizer, text)) or [""])


@pytest.mark.parametrize("cut", [encode, single_bytes])
@pytest.mark.parametrize("name", ["tokenizer", "qwen_tokenizer"])
@pytest.mark.parametrize("granularity", ["paragraph", "sentence"])
@given(before=TEXTS, white=st.lists(st.sampled_from(WHITE), max_size=4).map("".join), after=TEXTS)
def test_white_space_between_two_line_ends_changes_nothing(request, cut, name, granularity, before, white, after):
    tokenizer = request.getfixturevalue(name)

    def said(text: str) -> list[str]:
        found = parts(tokenizer, cut(tokenizer, text), granularity)
        return ["".join(character for character in part if not literally.white(character)) for part in found]

    assert said(f"{before}\n{white}\n{after}") == said(f"{before}\n\n{after}")


@given(batch=soups(len(PIECES)))
@settings(max_examples=100)
def test_a_paragraph_ends_where_a_sentence_ends(pieces, batch):
    for response in batch:
        steps = (torch.diff(segment_response(response, pieces, each)) for each in ("paragraph", "sentence"))
        assert torch.le(*steps).all()


@given(response=st.lists(st.integers(0, len(PIECES) - 1), max_size=12), end=st.integers(0, 12))
@settings(max_examples=300)
def test_what_is_said_later_moves_no_border_but_of_the_line_it_goes_on_with(pieces, response, end):
    """Which may still become a rule."""
    said = segment_response(response[:end], pieces)
    whole_lines = max((i for i, piece in enumerate(response[:end], 1) if PIECES[piece].endswith(b"\n")), default=0)
    assert torch.equal(said[:whole_lines], segment_response(response, pieces)[:whole_lines])
