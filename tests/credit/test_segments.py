"""Paragraphs, sentences and tokens, decided on token bytes."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kawhi.credit.segments import segment_response, token_bytes
from kawhi.tiny.tokenizer import train_tokenizer

# Text that is dense in delimiters.
TEXTS = st.lists(
    st.sampled_from(
        ["\n", "\n\n", "\n \n", " ", ".", ". ", "3.5", "So x", "é", "图", "?", "e.g.", '"', "\t", "answer"]
    ),
    max_size=25,
).map("".join)


def encode(tokenizer, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def single_bytes(tokenizer, text: str) -> list[int]:
    """The text as one token per byte: what a policy may sample although the tokenizer would never write it."""
    table = token_bytes(tokenizer)
    return [table.index(bytes([byte])) for byte in text.encode()]


def parts(tokenizer, ids, granularity="paragraph") -> list[str]:
    """The response's segments as text."""
    segments = segment_response(ids, tokenizer, granularity).tolist()
    assert len(segments) == len(ids)
    assert sorted(set(segments)) == segments[:1] + [s + 1 for s in sorted(set(segments))[:-1]]  # no gaps
    assert segments == sorted(segments)
    table = token_bytes(tokenizer)
    return [
        b"".join(table[i] for i, s in zip(ids, segments, strict=True) if s == segment).decode(errors="replace")
        for segment in sorted(set(segments))
    ]


def test_punctuation_with_its_blank_line_is_one_token_and_closes_its_paragraph(tokenizer):
    ids = encode(tokenizer, "So.\n\nAnswer")
    assert b".\n\n" in [token_bytes(tokenizer)[i] for i in ids]
    assert parts(tokenizer, ids) == ["So.\n\n", "Answer"]


def test_two_newline_tokens_that_meet_close_a_paragraph(tokenizer):
    newline = encode(tokenizer, "\n")
    assert len(newline) == 1
    ids = encode(tokenizer, "We need") + newline + newline + encode(tokenizer, "So")
    assert segment_response(ids, tokenizer).tolist() == [0] * (len(ids) - len(encode(tokenizer, "So"))) + [1] * len(
        encode(tokenizer, "So")
    )


def test_a_newline_token_completes_the_newline_of_the_token_before(tokenizer):
    # ".\n" + "\n" is the same text as ".\n\n", and must be the same boundary.
    ids = [*single_bytes(tokenizer, "a.\n"), *encode(tokenizer, "\n"), *encode(tokenizer, "b")]
    assert parts(tokenizer, ids) == ["a.\n\n", "b"]


@pytest.mark.parametrize("split", [encode, single_bytes])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo", ["one\ntwo"]),
        ("one\n\ntwo\n\nthree", ["one\n\n", "two\n\n", "three"]),
        ("one\n\n\n\n\ntwo", ["one\n\n\n\n\n", "two"]),
        ("one\n\n \n\t\n\ntwo", ["one\n\n \n\t\n\n", "two"]),
        ("\n\none", ["\n\none"]),
        ("  \n\n \n\none\n\ntwo", ["  \n\n \n\none\n\n", "two"]),
        ("one\n\n", ["one\n\n"]),
        ("one\n\ntwo\n\n\n", ["one\n\n", "two\n\n\n"]),
        ("\n\n\n", ["\n\n\n"]),
        ("été\n\n图表", ["été\n\n", "图表"]),
        ("one\n\n  - two\n\n three", ["one\n\n  ", "- two\n\n ", "three"]),
    ],
)
def test_paragraphs(tokenizer, split, text, expected):
    check(tokenizer, split, text, expected, "paragraph")


@pytest.mark.parametrize("split", [encode, single_bytes])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is 3.5 m. So 3.5 + 1.25 is 4.75.", ["It is 3.5 m. ", "So 3.5 + 1.25 is 4.75."]),
        ("One. Two? Three! Four", ["One. ", "Two? ", "Three! ", "Four"]),
        ('He said "no." Then (yes.) Done', ['He said "no." ', "Then (yes.) ", "Done"]),
        ("Wait... what?! Yes", ["Wait... ", "what?! ", "Yes"]),
        ("a line\nnext line\n\nlast", ["a line\n", "next line\n\n", "last"]),
        ("One.\n\nTwo.\n", ["One.\n\n", "Two.\n"]),
        ("\n One. Two", ["\n One. ", "Two"]),
        ("图。 表！ 是", ["图。 ", "表！ ", "是"]),
        ("x = .5 and y", ["x = .5 and y"]),
    ],
)
def test_sentences(tokenizer, split, text, expected):
    check(tokenizer, split, text, expected, "sentence")


@pytest.mark.parametrize("mark", [*".!?。！？", "?!", "！。", "。.", "。?"])
def test_every_mark_ends_a_sentence_with_every_closer(tokenizer, mark):
    for closer in ("", *"\"')]}”’」』）", "”）"):
        end = f"a{mark}{closer}"
        assert parts(tokenizer, single_bytes(tokenizer, f"{end} b"), "sentence") == [f"{end} ", "b"]
        without_a_space = [end, "b"] if set(mark) & set("。！？") else [f"{end}b"]
        assert parts(tokenizer, single_bytes(tokenizer, f"{end}b"), "sentence") == without_a_space


def check(tokenizer, split, text, expected, granularity):
    found = parts(tokenizer, split(tokenizer, text), granularity)
    # BPE may glue a delimiter's last space to the next word, which then carries it into the next segment.
    assert [part.strip() for part in found] == [part.strip() for part in expected]
    if split is single_bytes:
        assert found == expected


def test_a_word_with_its_space_opens_the_next_sentence(tokenizer):
    ids = encode(tokenizer, "is. the")
    assert token_bytes(tokenizer)[ids[-1]] == b" the"
    assert segment_response(ids, tokenizer, "sentence").tolist() == [0] * (len(ids) - 1) + [1]


def test_a_character_split_over_tokens_stays_whole(tokenizer):
    ids = encode(tokenizer, "图")
    assert len(ids) > 1
    ids = ids + encode(tokenizer, "\n\n") + ids
    half = len(encode(tokenizer, "图"))
    segments = segment_response(ids, tokenizer).tolist()
    assert segments[:half] == [0] * half
    assert segments[-half:] == [1] * half


def test_special_tokens_stand_in_the_segment_around_them(tokenizer):
    end = tokenizer.eos_token_id
    one, two = encode(tokenizer, "One.\n\n"), encode(tokenizer, "Two.")
    assert segment_response([*one, *two, end], tokenizer).tolist() == [0] * len(one) + [1] * (len(two) + 1)
    # After a final blank line nothing follows that could be a paragraph of its own.
    assert segment_response([*one, end], tokenizer).tolist() == [0] * (len(one) + 1)
    assert segment_response([*one, end, tokenizer.pad_token_id], tokenizer).tolist() == [0] * (len(one) + 2)
    # A special token has no text, so it cannot hide a boundary.
    newline = encode(tokenizer, "\n")
    ids = [*encode(tokenizer, "a"), *newline, end, *newline, *encode(tokenizer, "b")]
    assert segment_response(ids, tokenizer).tolist() == [0] * (len(ids) - 1) + [1]


@pytest.mark.parametrize("granularity", ["paragraph", "sentence", "token"])
def test_empty_response(tokenizer, granularity):
    segments = segment_response([], tokenizer, granularity)
    assert segments.shape == (0,)
    assert segments.dtype == torch.int64


def test_accepts_tensors(tokenizer):
    ids = encode(tokenizer, "One.\n\nTwo.")
    from_tensor = segment_response(torch.tensor(ids), tokenizer)
    assert from_tensor.dtype == torch.int64
    assert from_tensor.tolist() == segment_response(ids, tokenizer).tolist()


def test_unknown_granularity_lists_the_known_ones(tokenizer):
    with pytest.raises(ValueError, match="unknown granularity 'word'; choose one of paragraph, sentence, token"):
        segment_response([1], tokenizer, "word")


@given(text=TEXTS)
def test_paragraphs_are_those_of_the_text(tokenizer, text):
    # Independent of the module's own regular expression: split the stripped text, drop what is blank.
    expected = max(1, len(re.split(r"\n\n\s*", text.strip()))) if text else 0
    assert len(parts(tokenizer, single_bytes(tokenizer, text))) == expected


@given(text=TEXTS, granularity=st.sampled_from(["paragraph", "sentence"]))
def test_boundaries_do_not_depend_on_the_tokenisation(tokenizer, text, granularity):
    """A token goes where its first byte that is not white space would go as a token of its own."""
    ids, by_byte = encode(tokenizer, text), single_bytes(tokenizer, text)
    table = token_bytes(tokenizer)
    assert b"".join(table[i] for i in ids).decode() == text
    byte_segments = segment_response(by_byte, tokenizer, granularity).tolist()
    position, expected = 0, []
    for i in ids:
        visible = re.search(rb"\S", table[i])
        expected.append(byte_segments[position + (visible.start() if visible else 0)])
        position += len(table[i])
    names = {segment: rank for rank, segment in enumerate(sorted(set(expected)))}
    assert segment_response(ids, tokenizer, granularity).tolist() == [names[s] for s in expected]


def test_an_added_token_has_its_own_text_unless_it_is_special():
    tokenizer = train_tokenizer()  # not the shared one: this one grows
    tokenizer.add_tokens(["<think>", "\n\né"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|call|>\n\n"]})
    assert token_bytes(tokenizer)[-3:] == (b"<think>", "\n\né".encode(), b"")
    think, blank, special = range(len(tokenizer) - 3, len(tokenizer))
    assert segment_response([think, blank, special, think, blank], tokenizer).tolist() == [0, 1, 1, 1, 2]


def test_an_id_without_a_token_has_no_text():
    class Holes:
        all_special_ids = ()
        added_tokens_decoder = {}  # noqa: RUF012

        def __len__(self):
            return 3

        def convert_ids_to_tokens(self, ids):
            return ["a", None, "ĊĊ"]

    assert token_bytes(Holes()) == (b"a", b"", b"\n\n")


def test_every_token_has_its_bytes(tokenizer):
    table = token_bytes(tokenizer)
    assert len(table) == len(tokenizer)
    for index in set(range(len(tokenizer))) - set(tokenizer.all_special_ids):
        assert table[index]
        assert table[index].decode(errors="replace") == tokenizer.decode([index])
    assert all(table[index] == b"" for index in tokenizer.all_special_ids)
