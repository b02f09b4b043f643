"""The truth about what a response reads, computes and answers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kawhi.credit.readings import read_rightly, truth, truth_signals
from kawhi.credit.segments import packed_segments, paragraphs

RIGHT = (
    "We need the sum.",
    "I read the width 4 and the height 7.",
    "We look at the figure.",
    "The sum is 10 * 4 + 7 = 40 + 7 = 47.",
    "So the answer is \\boxed{47}.",
)


def told(*parts: str, readings=(4, 7)) -> list[tuple]:
    return [(each.kind, each.numbers, each.right) for each in truth(readings, "\n\n".join(parts))]


def test_every_paragraph_of_a_right_answer():
    assert told(*RIGHT) == [
        ("task", (), None),
        ("reading", (4, 7), True),
        ("filler", (), None),
        ("computation", (10, 4, 7, 40, 7, 47), True),
        ("answer", (47,), True),
    ]


@pytest.mark.parametrize(
    ("reading", "numbers", "right"),
    [
        ("I read the width 4 and the height 7.", (4, 7), True),
        ("I see 4, then 7", (4, 7), True),
        ("I read the width 7 and the height 4.", (7, 4), False),
        ("I read the width 4 and the height 8.", (4, 8), False),
        ("I read the width 4.", (4,), False),
        ("I read 4, 7 and 7.", (4, 7, 7), False),
        ("I read the width 47.", (47,), False),
    ],
)
def test_a_reading_is_right_when_it_says_all_numbers_in_their_order(reading, numbers, right):
    assert told(RIGHT[0], reading, *RIGHT[2:])[1] == ("reading", numbers, right)


@pytest.mark.parametrize(
    ("computation", "right"),
    [
        ("The sum is 10 * 4 + 7 = 47.", True),
        ("2 * 4 * 7 = 56", True),
        ("180 - 4 - 7 = 169.", True),
        ("The sum is 10 * 4 + 7 = 48.", False),
        ("The sum is 10 * 4 + 7 = 46 + 2 = 47.", False),
        ("The sum is 10 * 7 + 7 = 77.", False),  # a number that was not read, in place of one that was
        ("The sum is 10 * 4 + = 47.", False),
        ("The sum is 10 * 4 + 7 = .", False),
        ("The sum is = = 47.", False),
    ],
)
def test_a_computation_follows_from_the_reading_before_it(computation, right):
    assert told(RIGHT[0], RIGHT[1], computation)[2][::2] == ("computation", right)


def test_an_answer_follows_from_the_computation_and_not_from_the_drawing():
    misread = (RIGHT[0], "I read the width 4 and the height 8.", "The sum is 10 * 4 + 8 = 48.")
    assert told(*misread, "So \\boxed{48}")[2:] == [("computation", (10, 4, 8, 48), True), ("answer", (48,), True)]
    assert told(*misread, "So \\boxed{47}")[3] == ("answer", (47,), False)
    assert told(*misread, "So \\boxed{}")[3] == ("answer", (), False)
    assert told("So \\boxed{47}") == [("answer", (47,), None)]  # nothing was computed


def test_a_number_after_the_computation_is_no_reading():
    assert told(*RIGHT, "It is 47.", "---", "We are done.")[5:] == [("other", (47,), None), ("filler", (), None)]
    assert told("So \\boxed{47}.", "I read 4.")[1] == ("other", (4,), None)
    assert told("?", RIGHT[1]) == [("other", (), None), ("reading", (4, 7), True)]


def test_a_response_may_read_more_than_once():
    twice = truth((4, 7), "\n\n".join((RIGHT[1], "I read 4 and 8.")))
    assert [each.right for each in twice] == [True, False]
    assert not read_rightly(twice)
    assert read_rightly(twice[:1])
    assert not read_rightly(truth((4, 7), "So \\boxed{47}"))


PIECES = st.sampled_from([*RIGHT, "\n\n", "\n", " ", "---", "12", "\\boxed{", "}", "=", "été", "🙂", "* 3 ="])


@given(st.lists(PIECES, max_size=12).map("".join))
def test_paragraphs_are_those_of_the_segments_without_a_gap(text):
    found = truth((4, 7), text)
    assert [text[each.start : each.end] for each in found] == paragraphs(text)


@given(st.lists(st.lists(PIECES, max_size=10).map("".join), min_size=1, max_size=4))
def test_signals_are_the_truth_of_each_token_s_paragraph(tokenizer, texts):
    ids = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in texts]
    packed = torch.tensor([token for each in ids for token in each])
    offsets = torch.tensor([0, *map(len, ids)]).cumsum(0)
    signals = truth_signals([(4, 7)] * len(ids), packed, offsets, tokenizer)
    segments = packed_segments(packed, offsets, tokenizer).tolist()
    expected = []
    for text, own in zip(texts, ids, strict=True):
        found = truth((4, 7), text)
        at = [segments.pop(0) for _ in own]
        expected += [(float(found[i].kind == "reading"), float(read_rightly(found))) for i in at]
    assert list(zip(signals["reads"].tolist(), signals["reading_right"].tolist(), strict=True)) == expected


def test_an_empty_response_reads_nothing(tokenizer):
    signals = truth_signals([(4,)], torch.zeros(0, dtype=torch.long), torch.tensor([0, 0]), tokenizer)
    assert {name: len(values) for name, values in signals.items()} == {"reads": 0, "reading_right": 0}
