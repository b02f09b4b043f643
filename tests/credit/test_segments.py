"""Paragraphs, sentences and tokens by example, in the tokens of the tiny world and of Qwen, and byte by byte."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from kawhi.credit.segments import GRANULARITIES, packed_segments, paragraphs, segment_response, token_bytes
from kawhi.tiny.tokenizer import train_tokenizer
from tests.credit.tokens import encode, parts, single_bytes


@pytest.fixture(params=["tokenizer", "qwen_tokenizer", "sentencepiece_tokenizer", "single bytes"])
def split(request):
    """A tokenizer, and what cuts a text into its tokens."""
    if request.param == "single bytes":
        return request.getfixturevalue("tokenizer"), single_bytes
    return request.getfixturevalue(request.param), encode


def check(split, expected: list[str], granularity):
    """The text is what its segments make when joined."""
    tokenizer, cut = split
    found = parts(tokenizer, cut(tokenizer, "".join(expected)), granularity)
    # BPE may glue a delimiter's last space to the next word, which then carries it into the next segment.
    assert [part.strip() for part in found] == [part.strip() for part in expected]
    if cut is single_bytes:
        assert found == expected


BLANKS = ["\n\n", "\r\n\r\n", "\n \n", "\n\t\n", "\n\u00a0\n", "\n\u3000\n", "\n\u2003\u200b\ufeff\n", "\n\n\n\r\n\t\n"]


@pytest.mark.parametrize("blank", BLANKS)
def test_a_blank_line_ends_a_paragraph_whatever_it_is_made_of(split, blank):
    check(split, [f"one{blank}", f"two {blank}", "three"], "paragraph")
    check(split, [f"{blank}one{blank}", f"two{blank}"], "paragraph")
    check(split, [blank], "paragraph")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", " \n\u3000", "\r\r", "\u2029"])
def test_one_line_end_does_not(split, line_end):
    check(split, [f"one{line_end}two"], "paragraph")


@pytest.mark.parametrize("rule", ["---", "- - -", "***", "=====", "___", "———", "──────", "*\u3000**\t"])
def test_a_rule_of_dashes_belongs_to_the_paragraph_before(split, rule):
    for around in (f"\n\n{rule}\n\n", f"\n{rule}\n\n", f"\n\n{rule}\n", f"\r\n \r\n {rule}\n\n\n{rule}\n{rule}\n"):
        check(split, [f"one{around}", "two"], "paragraph")
        check(split, ["One. ", f"Two{around}", "three"], "sentence")
    check(split, [f"one\n{rule}\ntwo"], "paragraph")  # no blank line
    check(split, [f"{rule}\n\none\n\n", f"two\n\n{rule}"], "paragraph")
    check(split, [f"one\n{rule}\n", "two"], "sentence")


@pytest.mark.parametrize("text", ["--", "--- x", "x ---", "-*-", "|---|", "- -", "...", "```", "$$"])
def test_other_lines_are_text(split, text):
    check(split, ["one\n\n", f"{text}\n\n", "two"], "paragraph")


@pytest.mark.parametrize(
    "expected",
    [
        ["one\n\n  ", "- two\n\n ", "three"],
        ["été\n\n", "图表"],
        ["首先，看图。角 A 等于 30°。\n\n　　", "因此，答案是 60。\n　\n", "龘\n靐"],
        ["```python\na = 1\n\n", "b = 2\n```\n\n", "So"],
        ["Thus\n\\[\nx = 1\n\n", "y = 2\n\\]\n\n", "$$z$$"],
        ["<think>\nI read 3.\n\n", "So 3.\n</think>\n\n", "\\boxed{3}"],
        ["<think>\n\n", "I read 3.\n\n", "</think>\n\n", "\\boxed{3}"],
    ],
)
def test_blank_lines_end_paragraphs_wherever_they_are(split, expected):
    check(split, expected, "paragraph")
    assert paragraphs("".join(expected)) == expected


@pytest.mark.parametrize(
    "expected",
    [
        ["It is 3.5 m. ", "So 3.5 + 1.25 is 4.75."],
        ["One. ", "Two? ", "Three! ", "Four"],
        ['He said "no." ', "Then (yes.) ", "Done"],
        ["Wait... ", "what?! ", "Yes"],
        ["a line\n", "next line\r\n \r\n", "last"],
        ["One.\n\n", "Two.\n"],
        ["\n One. ", "Two.\u00a0", "Three"],
        ["图。 ", "表！ ", "是"],
        ["首先，看图。", "角 A 等于 30 度！", "答案是 60。"],
        ["x = .5 and y"],
    ],
)
def test_sentences(split, expected):
    check(split, expected, "sentence")


@pytest.mark.parametrize("mark", [*".!?。！？", "?!", "！。", "。.", "。?"])
def test_every_mark_ends_a_sentence_with_every_closer(tokenizer, mark):
    for closer in ("", *"\"')]}”’」』）", "”）"):
        end = f"a{mark}{closer}"
        assert parts(tokenizer, single_bytes(tokenizer, f"{end} b"), "sentence") == [f"{end} ", "b"]
        without_a_space = [end, "b"] if set(mark) & set("。！？") else [f"{end}b"]
        assert parts(tokenizer, single_bytes(tokenizer, f"{end}b"), "sentence") == without_a_space


def test_tokens_that_hold_a_border(tokenizer, qwen_tokenizer):
    for each, text, held in (
        (tokenizer, "So.\n\nAnswer", b".\n\n"),
        (qwen_tokenizer, "So.\n\nAnswer", b".\n\n"),
        (qwen_tokenizer, "So\r\n\r\nAnswer", b"\r\n\r\n"),
        (qwen_tokenizer, "So\n\n---\n\nAnswer", b"---\n\n"),
        (qwen_tokenizer, "因此。\n\nAnswer", "。\n\n".encode()),
    ):
        ids = encode(each, text)
        assert held in [token_bytes(each)[i] for i in ids]
        assert parts(each, ids) == [text.removesuffix("Answer"), "Answer"]


def test_a_word_with_its_space_opens_the_next_sentence(split):
    tokenizer, cut = split
    ids = cut(tokenizer, "is. the")
    opens = next(at for at, i in enumerate(ids) if b"t" in token_bytes(tokenizer)[i])
    assert segment_response(ids, tokenizer, "sentence").tolist() == [0] * opens + [1] * (len(ids) - opens)


@pytest.mark.parametrize("character", ["图", "龘"])
def test_a_character_split_over_tokens_stays_whole(tokenizer, qwen_tokenizer, character):
    each = tokenizer if character == "图" else qwen_tokenizer
    half = encode(each, character)
    assert len(half) > 1
    ids = [*half, *encode(each, "\n\n"), *half]
    segments = segment_response(ids, each).tolist()
    assert segments == [0] * (len(ids) - len(half)) + [1] * len(half)


def test_special_tokens_stand_in_the_segment_around_them(tokenizer, qwen_tokenizer):
    for each in (tokenizer, qwen_tokenizer):
        end, newline = each.eos_token_id, encode(each, "\n")
        one, two = encode(each, "One.\n\n"), encode(each, "Two.")
        assert segment_response([*one, *two, end], each).tolist() == [0] * len(one) + [1] * (len(two) + 1)
        # After a final blank line nothing follows that could be a paragraph of its own.
        assert segment_response([*one, end, each.pad_token_id], each).tolist() == [0] * (len(one) + 2)
        # A special token has no text, so it cannot hide a border.
        ids = [*encode(each, "a"), *newline, end, *newline, *encode(each, "b")]
        assert segment_response(ids, each).tolist() == [0] * (len(ids) - 1) + [1]
        special = [*each.all_special_ids, 10**9, 2**62]
        for granularity in ("paragraph", "sentence"):
            assert segment_response(special, each, granularity).tolist() == [0] * len(special)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_ids_of_any_integer_type_are_read(tokenizer, granularity):
    ids = encode(tokenizer, "One. Two.\n\nThree.")
    expected = segment_response(ids, tokenizer, granularity)
    assert expected.dtype == torch.int64
    for given in (tuple(ids), np.array(ids, np.int32), np.array(ids, np.int64), torch.tensor(ids).int()):
        assert torch.equal(segment_response(given, tokenizer, granularity), expected)
    packed = packed_segments(torch.tensor(ids).int(), torch.tensor([0, len(ids)]).int(), tokenizer, granularity)
    assert torch.equal(packed, expected)
    empty = segment_response([], tokenizer, granularity)
    assert (empty.shape, empty.dtype) == ((0,), torch.int64)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_refuses_ids_and_offsets_that_make_no_responses(tokenizer, granularity):
    ids = torch.tensor([1, 2, 3])
    with pytest.raises(ValueError, match=r"token ids \(3,\) do not fit offsets from 0 to 4"):
        packed_segments(ids, torch.tensor([0, 4]), tokenizer, granularity)
    with pytest.raises(ValueError, match=r"token ids \(3,\) do not fit offsets from 1 to 3"):
        packed_segments(ids, torch.tensor([1, 3]), tokenizer, granularity)
    for shaped in (torch.tensor(1), ids[None]):
        with pytest.raises(ValueError, match=r"token ids \(.*\) do not fit offsets"):
            segment_response(shaped, tokenizer, granularity)
    with pytest.raises(ValueError, match="token id -100 is negative"):  # the label that losses ignore, a likely slip
        segment_response([1, -100, 2], tokenizer, granularity)


def test_unknown_granularity_lists_the_known_ones(tokenizer):
    with pytest.raises(ValueError, match="unknown granularity 'word'; choose one of paragraph, sentence, token"):
        segment_response([1], tokenizer, "word")


@pytest.mark.parametrize("granularity", ["paragraph", "sentence"])
@pytest.mark.parametrize("text", [".", "\n", " ", "\n-", "。", "\n\u3000"])
def test_a_policy_that_repeats_itself_holds_nobody_up(tokenizer, granularity, text):
    """The time grows with the length, not with its square, which would be hours."""
    ids = single_bytes(tokenizer, text) * 1_000_000
    assert segment_response(ids, tokenizer, granularity)[-1] <= len(ids)


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
            return ["Ġa", None, "ĊĊ"]

    assert token_bytes(Holes()) == (b" a", b"", b"\n\n")


def test_every_token_has_its_bytes(tokenizer, qwen_tokenizer):
    for each in (tokenizer, qwen_tokenizer):
        table, special = token_bytes(each), set(each.all_special_ids)
        texts = [b"" if i in special else table[i] for i in range(len(each))]
        assert [text.decode(errors="replace") for text in texts] == each.batch_decode(
            [[i] for i in range(len(each))], skip_special_tokens=True
        )
        assert len(table) == len(each)
        assert {i for i, text in enumerate(table) if not text} == special


def test_sentencepiece_s_tokens_are_the_bytes_of_its_text(sentencepiece_tokenizer):
    """Spaces, what the vocabulary does not have, and line ends, which it writes as bytes."""
    text = "We need the area.\n\nFrom the figure:  \u00e4\u6f22 \U0001f642 <0x41>"
    ids = encode(sentencepiece_tokenizer, text)
    tokens = sentencepiece_tokenizer.convert_ids_to_tokens(ids)
    assert {"<0x0A>", "<0xF0>"} < set(tokens)
    assert any(token.startswith("\u2581") for token in tokens)
    table = token_bytes(sentencepiece_tokenizer)
    assert b"".join(table[i] for i in ids).decode() == text
    assert table[sentencepiece_tokenizer.eos_token_id] == b""


def test_another_kind_of_tokenizer_is_refused():
    """Its tokens would be taken for bytes that they are not."""
    words = Tokenizer(models.WordPiece({"[UNK]": 0, "re": 1, "##ad": 2}, unk_token="[UNK]"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]")
    with pytest.raises(ValueError, match="is neither a byte-level BPE nor a SentencePiece tokenizer"):
        segment_response([1, 2], tokenizer)
