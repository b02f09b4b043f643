"""The vectorised segmentation against the byte-by-byte one, on tokens that no tokenizer would put in a row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kawhi.credit.segments import GRANULARITIES, _byte_to_unicode, packed_segments, segment_response, token_bytes
from tests.reference.segments import segments as literal_segments

# White space of every kind, blank lines inside, before, after and across tokens, marks and closers, split characters.
PIECES = tuple(
    piece.encode("latin-1")
    for piece in (
        *("", "\n", "\n\n", " \n", "\n ", "\n \n", "\n\n ", " ", "\t", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\xa0"),
        *(
            "\xc2",
            "\xc2\xa0",
            "\n\xc2",
            "\xa0\n",
            "\xa0x",
            "\xe3\x80\x80",
            "\n\xe3\x80\x80",
        ),  # no-break, ideographic space
        *("a", " a", "a ", "a\n", "\na", "a\n\n", "\n\na", "\n\n a\n", "a\n\nb", "a\n\nb\n\nc", "a\nb", "a \n\n\n b\n"),
        *("-", "--", " -", "---", "---\n", "\n---\n\n", "***\n\n", "*", "=", "-a", "a---\n", "\xe2\x80\x94", "\x94"),
        *(".", ". ", " .", ".\n", ".\n\n", "?!", "b.", '"', ")", '."', "3.5"),
        *("\xe3\x80\x82", "\xef\xbc\x81", "\xe3\x80\x8d", "\xe2\x80\x9d"),  # 。！」”
        *("\xe3", "\x80", "\x82", "\xe3\x80", "\x80\x82x", "\xe2\x80", "\x9d", "\n\xe3", "\xe3\x80\x82\xe5"),
    )
)


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


def literal(batch: list[list[int]], tokenizer, granularity: str) -> list[int]:
    table = token_bytes(tokenizer)
    texts = [[table[i] if i < len(table) else b"" for i in response] for response in batch]
    return [segment for text in texts for segment in literal_segments(text, granularity)]


def test_the_pieces_are_the_tokenizers_bytes(pieces):
    assert token_bytes(pieces) == PIECES


@pytest.mark.parametrize("granularity", GRANULARITIES)
@given(batch=soups(len(PIECES) + 3))  # the last ids lie beyond the vocabulary
@settings(max_examples=300)
def test_a_soup_of_pieces_is_segmented_as_its_bytes_say(pieces, granularity, batch):
    found = packed_segments(*pack(batch), pieces, granularity)
    assert found.dtype == torch.int64
    assert found.tolist() == literal(batch, pieces, granularity)


@pytest.mark.parametrize("granularity", GRANULARITIES)
@given(batch=soups(500))  # 480 tokens, 8 of them special, and ids beyond the vocabulary
@settings(max_examples=60)
def test_a_soup_of_the_tiny_tokenizers_tokens_is_segmented_as_its_bytes_say(tokenizer, granularity, batch):
    assert packed_segments(*pack(batch), tokenizer, granularity).tolist() == literal(batch, tokenizer, granularity)


@pytest.mark.parametrize("granularity", ["paragraph", "sentence"])
def test_every_row_of_three_pieces_that_matter_is_segmented_as_its_bytes_say(pieces, granularity):
    matter = [
        PIECES.index(p) for p in (b"", b"\n", b"\n\n", b" ", b"a", b"a\n", b"\na", b"a\n\nb", b"---", b"-", b".", b'"')
    ]
    batch = [[i, j, k] for i in matter for j in matter for k in matter]
    assert packed_segments(*pack(batch), pieces, granularity).tolist() == literal(batch, pieces, granularity)


@given(batch=soups(len(PIECES)))
@settings(max_examples=100)
def test_a_paragraph_ends_where_a_sentence_ends(pieces, batch):
    ids, offsets = pack(batch)
    paragraphs, sentences = (packed_segments(ids, offsets, pieces, g) for g in ("paragraph", "sentence"))
    steps = torch.diff(paragraphs), torch.diff(sentences)
    inside = torch.ones(len(ids), dtype=torch.bool)
    inside[offsets[:-1][offsets[:-1] < len(ids)]] = False
    assert (steps[0] <= steps[1])[inside[1:]].all()


@given(response=st.lists(st.integers(0, len(PIECES) - 1), max_size=12), end=st.integers(0, 12))
@settings(max_examples=100)
def test_what_is_said_later_does_not_move_an_earlier_border(pieces, response, end):
    whole = segment_response(response, pieces)
    torch.testing.assert_close(segment_response(response[:end], pieces), whole[:end])


@pytest.mark.parametrize("granularity", ["paragraph", "sentence"])
def test_a_response_without_text_is_one_segment(pieces, tokenizer, granularity):
    blank = [PIECES.index(piece) for piece in (b"\n\n", b"", b" ", b"\n", b"\n\n", b"\t")]
    assert segment_response(blank, pieces, granularity).tolist() == [0] * 6
    special = [*tokenizer.all_special_ids, 10**9, 2**62]
    assert segment_response(special, tokenizer, granularity).tolist() == [0] * len(special)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_ids_of_any_integer_type_are_read(tokenizer, granularity):
    ids = tokenizer("One. Two.\n\nThree.", add_special_tokens=False)["input_ids"]
    expected = segment_response(ids, tokenizer, granularity).tolist()
    for given_ids in (tuple(ids), np.array(ids, np.int32), np.array(ids, np.int64), torch.tensor(ids).int()):
        assert segment_response(given_ids, tokenizer, granularity).tolist() == expected
    packed = packed_segments(torch.tensor(ids).int(), torch.tensor([0, len(ids)]).int(), tokenizer, granularity)
    assert packed.dtype == torch.int64
    assert packed.tolist() == expected


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_refuses_ids_and_offsets_that_make_no_responses(pieces, granularity):
    ids = torch.tensor([1, 2, 3])
    with pytest.raises(ValueError, match=r"token ids \(3,\) do not fit offsets from 0 to 4"):
        packed_segments(ids, torch.tensor([0, 4]), pieces, granularity)
    with pytest.raises(ValueError, match=r"token ids \(3,\) do not fit offsets from 1 to 3"):
        packed_segments(ids, torch.tensor([1, 3]), pieces, granularity)
    for shaped in (torch.tensor(1), ids[None]):
        with pytest.raises(ValueError, match=r"token ids \(.*\) do not fit offsets"):
            segment_response(shaped, pieces, granularity)
    with pytest.raises(ValueError, match="token id -100 is negative"):  # the label that losses ignore, a likely slip
        segment_response([1, -100, 2], pieces, granularity)
